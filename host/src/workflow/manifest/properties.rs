//! `[properties.NAME]` and `[explore]`.

use purefold_effects::settings::Settings;
use purefold_wit::Finding;

/// `[properties.NAME]`: one of `always`, `never`, `once`, or `asks` with `when`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PropertySettings {
    /// The property's name.
    pub name: String,
    /// A condition that every state meets.
    pub always: Option<String>,
    /// A condition that no state meets.
    pub never: Option<String>,
    /// An intent case that is asked for once at most in an entity's life.
    pub once: Option<String>,
    /// An intent case that is asked for only …
    pub asks: Option<String>,
    /// … by decisions that leave a state which meets this condition.
    pub when: Option<String>,
}

pub(super) fn read(mut settings: Settings<'_>, top: &mut Settings<'_>) -> Vec<PropertySettings> {
    let names: Vec<&str> = settings.names().collect();
    let mut properties = Vec::with_capacity(names.len());
    for name in names {
        let Some(mut one) = settings.nested(name) else { continue };
        let mut text = |setting| one.string(setting).map(str::to_owned);
        let property = PropertySettings {
            name: name.to_owned(),
            always: text("always"),
            never: text("never"),
            once: text("once"),
            asks: text("asks"),
            when: text("when"),
        };
        let said = [&property.always, &property.never, &property.once, &property.asks].into_iter().filter(|one| one.is_some()).count();
        if said != 1 || property.asks.is_some() != property.when.is_some() {
            top.absorb([Finding::new(
                "property-wrong",
                format!("properties.{name}"),
                "a property says one thing",
                "write `always`, `never` or `once`, or `asks` together with `when`",
            )]);
        }
        top.absorb(one.finish());
        properties.push(property);
    }
    top.absorb(settings.finish());
    properties
}

/// `[explore]`: the files of events that may arrive, relative to the manifest's folder.
pub(super) fn read_explore(mut settings: Settings<'_>, top: &mut Settings<'_>) -> Vec<String> {
    let events = settings.strings("events").unwrap_or_default().into_iter().map(str::to_owned).collect();
    top.absorb(settings.finish());
    events
}

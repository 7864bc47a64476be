//! Which part of an intent's record is sent: all of it, or one field, as canonical JSON.

use std::sync::Arc;

use purefold_wit::{Codec, Record, Type, Value, finding};

use crate::route;
use crate::settings::Settings;

/// A bound choice of what is sent.
pub(crate) struct Body {
    /// The field; `None` for the record itself.
    index: Option<usize>,
    codec: Codec,
}

impl Body {
    /// The whole record.
    pub(crate) fn record(record: &Arc<Record>) -> Body {
        Body { index: None, codec: Codec::new(&Type::Record(Arc::clone(record))) }
    }

    /// What `name` chooses: `record` for the whole, else a field. An unknown field is reported at `setting`.
    pub(crate) fn bind(settings: &mut Settings<'_>, setting: &str, name: &str, record: &Arc<Record>) -> Option<Body> {
        if name == "record" {
            return Some(Body::record(record));
        }
        let Some((index, ty)) = record.field(name) else {
            let cause = format!("`{}` has no field `{name}`", record.name.kebab());
            let near = finding::nearest(name, record.fields.iter().map(|field| field.name.kebab()));
            let help = match near {
                Some(near) => format!("did you mean `{near}`? `record` is the whole record"),
                None => format!("write `record` for the whole record; its fields are {}", route::field_names(record)),
            };
            settings.report("field-missing", setting, cause, help);
            return None;
        };
        Some(Body { index: Some(index), codec: Codec::new(ty) })
    }

    /// Its canonical JSON.
    ///
    /// # Errors
    /// A value without a JSON form.
    pub(crate) fn encode(&self, payload: &Value) -> Result<Vec<u8>, String> {
        let value = match (self.index, payload) {
            (None, whole) => whole,
            (Some(index), Value::Record(fields)) => fields.get(index).ok_or("the record does not have the field that is sent")?,
            (Some(_), _) => return Err("the intent is not a record".to_owned()),
        };
        let mut json = Vec::new();
        self.codec.encode(value, &mut json).map_err(|error| error.to_string())?;
        Ok(json)
    }
}

//! Whether a release can take over from another one: pure, over two contracts and counts of what waits.

use purefold_wit::{Contract, Finding, Record, Type, Variant};

/// Inputs that wait for the release to come: so many of one kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// What they are, as an operator calls them: `outcomes of intents`, `pending timers`, `inputs in inboxes`, `deliveries`.
    pub what: &'static str,
    /// The input case that they are for, in kebab case.
    pub case: String,
    /// The type that they were written as, where it is known.
    pub payload: Option<Type>,
    /// How many.
    pub count: u64,
}

/// States that wait for the release to come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct States {
    /// Entities that hold one.
    pub entities: u64,
}

/// Everything that keeps `new` from taking over from `old`.
#[must_use]
pub fn check(old: &Contract, new: &Contract, waiting: &[Waiting], states: States) -> Vec<Finding> {
    let mut findings = Vec::new();
    for Waiting { what, case, payload, count } in waiting {
        let place = format!("input.{case}");
        let Some((_, target)) = new.input.case(case) else {
            findings.push(Finding::new(
                "release-case-missing",
                place,
                format!("the new contract has no input case `{case}`, and {} {what} wait for it", told(*count)),
                "keep the case until these are done (`purefold intents`, `purefold parked`), or conclude them first",
            ));
            continue;
        };
        let (Some(from), Some(to)) = (payload, &target.payload) else { continue };
        let mut unfit = Vec::new();
        unfit_fields(case, from, to, &mut unfit);
        for (path, why) in unfit {
            findings.push(Finding::new(
                "release-field-unfit",
                path.clone(),
                format!("`{path}` {why}, and {} {what} were written without it", told(*count)),
                "make the new field an option or keep its type, or wait until these are done",
            ));
        }
    }
    findings.extend(state(old, new, states));
    findings
}

/// Why the states of `old` cannot become those of `new`.
fn state(old: &Contract, new: &Contract, States { entities }: States) -> Vec<Finding> {
    let (from, to) = (old.state_fingerprint(), new.state_fingerprint());
    let goes_on = from == to || new.migrates_from().as_ref() == Some(&from) || old.downgrades_to().as_ref() == Some(&to) || entities == 0;
    if goes_on {
        return Vec::new();
    }
    let mut unfit = Vec::new();
    unfit_record("state", &old.state, &new.state, &mut unfit);
    for (name, _) in fields(&old.state).filter(|(name, _)| new.state.field(name).is_none()) {
        unfit.push((format!("state.{name}"), "is gone".to_owned()));
    }
    for (name, ty) in fields(&new.state) {
        let added = old.state.field(name).is_none();
        if added && matches!(ty, Type::Option(_)) {
            unfit.push((format!("state.{name}"), "is new".to_owned()));
        }
    }
    if unfit.is_empty() {
        unfit.push(("state".into(), "has another form".into()));
    }
    let help = match new.migrates_from() {
        Some(_) => "the component's `migrate` takes over another type; have it take over that of the release in force",
        None => "write `migrate`, or keep the state's type; to go back, the release in force must export a fitting `downgrade`",
    };
    let finding = |(path, why): (String, String)| {
        Finding::new(
            "release-state-unfit",
            path.clone(),
            format!("`{path}` {why}, and {} entities hold states without that change", told(entities)),
            help,
        )
    };
    unfit.into_iter().map(finding).collect()
}

fn fields(record: &Record) -> impl Iterator<Item = (&str, &Type)> {
    record.fields.iter().map(|field| (field.name.kebab(), &field.ty))
}

fn unfit_fields(path: &str, from: &Type, to: &Type, unfit: &mut Vec<(String, String)>) {
    match (from, to) {
        (Type::Record(from), Type::Record(to)) => unfit_record(path, from, to, unfit),
        _ if takes(from, to) => {}
        _ => unfit.push((path.to_owned(), format!("was `{from}` and is `{to}`"))),
    }
}

fn unfit_record(path: &str, from: &Record, to: &Record, unfit: &mut Vec<(String, String)>) {
    for (name, ty) in fields(to) {
        let path = format!("{path}.{name}");
        match from.field(name) {
            None if matches!(ty, Type::Option(_)) => {}
            None => unfit.push((path, "is new and required".into())),
            Some((_, before)) if takes(before, ty) => {}
            Some((_, Type::Option(before))) if takes(before, ty) => unfit.push((path, "became required".into())),
            Some((_, before @ Type::Record(_))) if matches!(ty, Type::Record(_)) => unfit_fields(&path, before, ty, unfit),
            Some((_, before)) => unfit.push((path, format!("was `{before}` and is `{ty}`"))),
        }
    }
}

/// Whether every value of `from`, in its JSON form, reads as one of `to`. What `to` does not know is passed over.
#[must_use]
pub fn takes(from: &Type, to: &Type) -> bool {
    match (from, to) {
        (Type::Record(from), Type::Record(to)) => fields(to).all(|(name, ty)| match from.field(name) {
            None => matches!(ty, Type::Option(_)),
            Some((_, before)) => takes(before, ty),
        }),
        (Type::Variant(from), Type::Variant(to)) => takes_cases(from, to),
        (Type::Enum(from), Type::Enum(to)) => from.cases.iter().all(|case| to.cases.contains(case)),
        (Type::Flags(from), Type::Flags(to)) => from.flags.iter().all(|flag| to.flags.contains(flag)),
        (Type::Option(from), Type::Option(to)) | (Type::List(from), Type::List(to)) | (Type::Map(from), Type::Map(to)) => takes(from, to),
        (from, Type::Option(to)) => takes(from, to),
        (Type::Result(from), Type::Result(to)) => {
            takes_payload(from.ok.as_ref(), to.ok.as_ref()) && takes_payload(from.err.as_ref(), to.err.as_ref())
        }
        (Type::Tuple(from), Type::Tuple(to)) => from.len() == to.len() && from.iter().zip(to.iter()).all(|(from, to)| takes(from, to)),
        (from, to) => from == to || is_wider(from, to),
    }
}

fn takes_cases(from: &Variant, to: &Variant) -> bool {
    from.cases.iter().all(|case| {
        let target = to.case(case.name.kebab());
        target.is_some_and(|(_, target)| takes_payload(case.payload.as_ref(), target.payload.as_ref()))
    })
}

fn takes_payload(from: Option<&Type>, to: Option<&Type>) -> bool {
    match (from, to) {
        (Some(from), Some(to)) => takes(from, to),
        (None, None) => true,
        _ => false,
    }
}

/// Whether `to` holds every integer that `from` does.
fn is_wider(from: &Type, to: &Type) -> bool {
    const UNSIGNED: [Type; 4] = [Type::U8, Type::U16, Type::U32, Type::U64];
    const SIGNED: [Type; 4] = [Type::S8, Type::S16, Type::S32, Type::S64];
    let place = |types: &[Type; 4], ty: &Type| types.iter().position(|known| known == ty);
    match (place(&UNSIGNED, from), place(&SIGNED, from), place(&UNSIGNED, to), place(&SIGNED, to)) {
        (Some(from), _, Some(to), _) | (_, Some(from), _, Some(to)) => from <= to,
        (Some(from), _, _, Some(to)) => from < to,
        _ => false,
    }
}

/// A count as people read it: `1,204`.
fn told(count: u64) -> String {
    let digits = count.to_string();
    let mut told = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            told.push(',');
        }
        told.push(digit);
    }
    told
}

//! How whoever rehearses says what became of an intent.

use purefold_wit::{Codec, DecodeError, ResultType, Type, UnknownFields, Value};
use serde_json::value::RawValue;

use super::{Asked, Rehearsal};
use crate::engine::{Conclusion, FailureKind, Plan};
use crate::workflow::{OutcomeField, RoutePlan};

/// What the intents of a workflow can be answered with: for each intent case the type of a reply, where its outcome has one.
pub struct Replies(Vec<Option<(Type, Codec)>>);

/// Why a text says nothing about an intent's end.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReplyError {
    /// It is of no form that is known.
    #[error(
        "expected `ok`, {{\"ok\": REPLY}}, or one of `refused`, `exhausted`, `unknown`, `unreadable_reply`, each with or without a text; found {0}"
    )]
    Form(String),
    /// The reply does not fit.
    #[error("{0}")]
    Reply(#[from] DecodeError),
    /// There is no reply.
    #[error("the outcome of {case} carries a reply, a {ty}: write {{\"ok\": …}}")]
    Missing {
        /// The intent case, in kebab case.
        case: String,
        /// The reply's type.
        ty: String,
    },
    /// There is a reply that nothing takes.
    #[error("the outcome of {case} carries no reply: write `ok`")]
    Unasked {
        /// The intent case, in kebab case.
        case: String,
    },
}

impl Replies {
    pub(super) fn of(plan: &Plan) -> Self {
        let reply = |route: &RoutePlan| {
            let RoutePlan::Effect(route) = route else { return None };
            let outcome = route.outcome.as_ref()?;
            let field = outcome.fields.iter().position(|field| *field == OutcomeField::Result)?;
            let Some(Type::Record(record)) = &plan.workflow.contract.input.cases[outcome.input_case as usize].payload else { return None };
            let Type::Result(result) = &record.fields[field].ty else { return None };
            let ResultType { ok, .. } = &**result;
            ok.as_ref().map(|ty| (ty.clone(), Codec::new(ty)))
        };
        Replies(plan.workflow.routes.iter().map(reply).collect())
    }

    /// The type of the reply to intents of a case, where their outcome carries one.
    #[must_use]
    pub fn ty(&self, case: u32) -> Option<&Type> {
        self.0.get(case as usize)?.as_ref().map(|(ty, _)| ty)
    }
}

impl Rehearsal {
    /// What the intents of a workflow can be answered with.
    #[must_use]
    pub fn replies(&self, workflow: usize) -> &Replies {
        &self.cast.replies[workflow]
    }

    /// Reads how an intent ended: `"ok"`, `{"ok": REPLY}`, or one of the failures with or without its text, as `"refused"` or
    /// `{"refused": "no such table"}`.
    ///
    /// # Errors
    /// What is wrong with the text.
    pub fn conclusion(&self, asked: &Asked, json: &[u8]) -> Result<Conclusion, ReplyError> {
        let case = || self.plans()[asked.name.workflow].workflow.contract.intent.cases[asked.case as usize].name.kebab().to_owned();
        let form = || ReplyError::Form(String::from_utf8_lossy(json).into_owned());
        let (name, body) = match serde_json::from_slice::<String>(json) {
            Ok(name) => (name, None),
            Err(_) => {
                let fields: std::collections::BTreeMap<String, Box<RawValue>> = serde_json::from_slice(json).map_err(|_| form())?;
                let mut fields = fields.into_iter();
                match (fields.next(), fields.next()) {
                    (Some((name, body)), None) => (name, Some(body)),
                    _ => return Err(form()),
                }
            }
        };
        if name == "ok" {
            let codec = &self.replies(asked.name.workflow).0[asked.case as usize];
            let body = body.filter(|body| body.get() != "null");
            return match (codec, body) {
                (None, None) => Ok(Ok(None)),
                (None, Some(_)) => Err(ReplyError::Unasked { case: case() }),
                (Some((ty, _)), None) => Err(ReplyError::Missing { case: case(), ty: ty.to_string() }),
                (Some((_, codec)), Some(body)) => Ok(Ok(Some(codec.decode("ok", body.get().as_bytes(), UnknownFields::Refuse)?))),
            };
        }
        let kinds = [FailureKind::Refused, FailureKind::Exhausted, FailureKind::Unknown, FailureKind::UnreadableReply];
        let kind = kinds.into_iter().find(|kind| kind.name() == name.replace('-', "_")).ok_or_else(form)?;
        let text = body.map_or(Ok("rehearsed".to_owned()), |body| serde_json::from_str(body.get()).map_err(|_| form()))?;
        Ok(Err((kind, text)))
    }

    /// The canonical JSON of an intent's record.
    #[must_use]
    pub fn payload_json(&self, asked: &Asked) -> String {
        let case = &self.plans()[asked.name.workflow].workflow.contract.intent.cases[asked.case as usize];
        let mut json = Vec::new();
        match &case.payload {
            // It was encoded when it was decided.
            Some(ty) if Codec::new(ty).encode(&asked.payload, &mut json).is_ok() => String::from_utf8_lossy(&json).into_owned(),
            _ => "null".to_owned(),
        }
    }

    /// The entity's state as canonical JSON; none where it has none.
    #[must_use]
    pub fn state_json(&self, name: &crate::engine::EntityName) -> Option<String> {
        let state: &Value = self.entity(name)?.state.as_ref()?;
        let (_, encoded) = self.plans()[name.workflow]
            .codec
            .encode(crate::sandbox::Decision::Accepted { state: Some(state.clone()), intents: Vec::new() });
        encoded.state.map(|state| String::from_utf8_lossy(&state).into_owned())
    }
}

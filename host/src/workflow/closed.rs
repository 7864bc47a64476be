//! Workflows whose effects perform nothing: loaded for their journal, or for the tables that they need.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::future::{BoxFuture, ready};
use purefold_effects::{Call, Effect, EffectError, Operation, Reply, Route};
use purefold_wit::Finding;

use super::Workflow;
use super::load::load_with;

/// What is found where a backend that must be looked at is away.
const AWAY: &str = "database-unreachable";

/// What is found where a backend that must be looked at is away, or has not been made ready yet.
const FORGIVEN: [&str; 3] = [AWAY, "table-missing", "right-missing"];

/// Whether nothing is wrong but that a backend is away: the same workflow may load later.
#[must_use]
pub fn only_away(findings: &[Finding]) -> bool {
    !findings.is_empty() && findings.iter().all(|finding| finding.code == AWAY)
}

/// Statements in SQL by the name of the effect that needs them.
pub type Statements = Vec<(String, Vec<String>)>;

/// As [`load`](super::load), for commands that perform no intent: a backend that is away keeps nobody from reading the
/// journal or pausing the effect.
///
/// # Errors
/// As [`load`](super::load).
pub fn load_to_read(path: &Path) -> Result<Workflow, Vec<Finding>> {
    load_with(path, &|name, settings, base| Ok(Arc::new(Forgiving(purefold_effects::open(name, settings, base)?))), &|_, _| Vec::new())
}

/// The statements that make what the workflow's effects need of their databases. Nothing is asked of any database.
///
/// # Errors
/// As [`load`](super::load), but for what only a database knows.
pub fn schema(path: &Path) -> Result<Statements, Vec<Finding>> {
    let statements: Arc<Mutex<Statements>> = Arc::default();
    let told = Arc::clone(&statements);
    let open = move |name: &str, settings: &toml::Table, base: &Path| -> Result<Arc<dyn Effect>, Vec<Finding>> {
        let inner = purefold_effects::open(name, settings, base)?;
        Ok(Arc::new(Asked { name: name.to_owned(), inner, statements: Arc::clone(&told) }))
    };
    load_with(path, &open, &|_, _| Vec::new())?;
    let mut statements = statements.lock().unwrap_or_else(PoisonError::into_inner);
    Ok(std::mem::take(&mut statements))
}

/// An effect that is not needed where its backend is away.
struct Forgiving(Arc<dyn Effect>);

impl Effect for Forgiving {
    fn bind(&self, routes: &[Route<'_>]) -> Result<Vec<Arc<dyn Operation>>, Vec<Finding>> {
        self.0.bind(routes).or_else(|findings| {
            if findings.iter().any(|finding| !FORGIVEN.contains(&finding.code)) {
                return Err(findings);
            }
            Ok(closed(routes))
        })
    }

    fn start(&self) -> BoxFuture<'_, Result<(), EffectError>> {
        self.0.start()
    }

    fn stop(&self) {
        self.0.stop();
    }
}

/// An effect that is asked for its tables instead of being bound.
struct Asked {
    name: String,
    inner: Arc<dyn Effect>,
    statements: Arc<Mutex<Statements>>,
}

impl Effect for Asked {
    fn bind(&self, routes: &[Route<'_>]) -> Result<Vec<Arc<dyn Operation>>, Vec<Finding>> {
        let statements = self.inner.schema(routes)?;
        if !statements.is_empty() {
            self.statements.lock().unwrap_or_else(PoisonError::into_inner).push((self.name.clone(), statements));
        }
        Ok(closed(routes))
    }

    fn start(&self) -> BoxFuture<'_, Result<(), EffectError>> {
        Box::pin(ready(Ok(())))
    }
}

/// An effect that is as good as any: nothing is asked of its backend, and nothing performed.
pub(super) struct Shut;

impl Effect for Shut {
    fn bind(&self, routes: &[Route<'_>]) -> Result<Vec<Arc<dyn Operation>>, Vec<Finding>> {
        Ok(closed(routes))
    }

    fn start(&self) -> BoxFuture<'_, Result<(), EffectError>> {
        Box::pin(ready(Ok(())))
    }
}

fn closed(routes: &[Route<'_>]) -> Vec<Arc<dyn Operation>> {
    routes.iter().map(|_| Arc::new(Closed) as Arc<dyn Operation>).collect()
}

/// An operation that is not there.
struct Closed;

impl Operation for Closed {
    fn perform(&self, _call: Call) -> BoxFuture<'static, Result<Reply, EffectError>> {
        let reason = "the effect was not opened by this command".to_owned();
        Box::pin(ready(Err(EffectError::NotDone { reason, retry_after: None })))
    }
}

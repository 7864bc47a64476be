//! `publish` on a file: one event, one line, appended and synced before it is acknowledged.

mod log;
mod writer;

use std::path::Path;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use purefold_wit::Finding;

use self::writer::Writer;
use super::Plan;
use crate::by_path::ByPath;
use crate::{Call, Effect, EffectError, Operation, Reply, Route, route};

/// Longest line, in bytes without its end: Kafka's default for a message.
const LINE_BYTES_MAX: usize = 1024 * 1024;

static OPEN: ByPath<Writer> = ByPath::new();

struct Jsonl {
    writer: Arc<Writer>,
}

pub(super) fn open(_name: &str, path: &Path) -> Arc<dyn Effect> {
    Arc::new(Jsonl { writer: OPEN.get_or(path, Writer::new) })
}

impl Effect for Jsonl {
    fn bind(&self, routes: &[Route<'_>]) -> Result<Vec<Arc<dyn Operation>>, Vec<Finding>> {
        let plans = route::all(routes, super::plan)?;
        let bind = |plan| Arc::new(BoundTopic { writer: Arc::clone(&self.writer), plan }) as Arc<dyn Operation>;
        Ok(plans.into_iter().map(bind).collect())
    }

    fn start(&self) -> BoxFuture<'_, Result<(), EffectError>> {
        Box::pin(self.writer.start())
    }
}

struct BoundTopic {
    writer: Arc<Writer>,
    plan: Plan,
}

impl Operation for BoundTopic {
    fn perform(&self, call: Call) -> BoxFuture<'static, Result<Reply, EffectError>> {
        let line = self.plan.event(&call);
        let writer = Arc::clone(&self.writer);
        Box::pin(async move {
            let mut line = line.map_err(EffectError::Refused)?;
            if line.len() > LINE_BYTES_MAX {
                return Err(EffectError::Refused(format!("the event has {} bytes; a line takes {LINE_BYTES_MAX} at most", line.len())));
            }
            line.push(b'\n');
            writer.append(line).await?;
            Ok(None)
        })
    }

    fn bears_repeats(&self) -> bool {
        true
    }
}

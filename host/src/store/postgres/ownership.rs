//! Who has the store: one host alone, or several that share it. A lock keeps the two apart.
//!
//! The lock keeps one who wants the store alone from taking it by mistake. That nobody writes what is another's does not rest
//! on it: whoever takes the store alone ends all epochs, and every commit needs the row of its own.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Mutex;
use tokio::task::JoinHandle;
use tokio_postgres::{Client, Error};

use super::failure::failed;
use super::session::{Open, wait_for};
use super::{Place, schema};
use crate::store::StoreError;
use crate::store::lease::{EPOCH, NEXT_EPOCH};

/// How long a lock is waited for: a host that was killed may still be about to leave.
const PATIENCE: Duration = Duration::from_millis(500);
const LOOK_INTERVAL: Duration = Duration::from_millis(50);

/// How often it is looked whether the connection that holds the lock is there.
const KEEP_INTERVAL: Duration = Duration::from_millis(500);

const LOCK: &str = "SELECT pg_try_advisory_lock(hashtext('purefold host'), hashtext(current_schema()))";
const LOCK_SHARED: &str = "SELECT pg_try_advisory_lock_shared(hashtext('purefold host'), hashtext(current_schema()))";

const UNLOCK: &str = "SELECT pg_advisory_unlock_all()";

/// Whether the server has just started, and a host that had the store may be about to lock it again.
const MAY_COME_BACK: &str = "SELECT EXISTS (SELECT 1 FROM hosts WHERE epoch IS NOT NULL) \
                             AND clock_timestamp() < pg_postmaster_start_time() + interval '5 seconds'";

/// Every epoch ends, once what is committed under it just now is done.
const END_ALL: &str = "DELETE FROM hosts";

/// The store, for as long as it is held.
pub(in crate::store) struct Ownership {
    /// Of the host that has the store alone; 0 where it is shared: each engine has one of its own then.
    pub(super) epoch: u64,
    client: Arc<Mutex<Option<Arc<Client>>>>,
    keeper: JoinHandle<()>,
}

impl Ownership {
    /// Brings the tables forward and takes the store, `alone` or with others that share it. It begins as journal `id` where it
    /// is new.
    pub(super) fn take(place: &Arc<Place>, id: (u64, u64), alone: bool) -> Result<Self, StoreError> {
        let statement = if alone { LOCK } else { LOCK_SHARED };
        wait_for(async {
            let Open { client, .. } = Open::connect(place).await?;
            schema::STEPS.bring_forward(&client, place).await?;
            wait_for_lock(&client, place, statement).await?;
            let epoch = take(&client, id, alone).await.map_err(|error| failed(&place.told, &error))?;
            let client = Arc::new(Mutex::new(Some(client)));
            let keeper = tokio::spawn(keep(client.clone(), place.clone(), statement));
            Ok(Ownership { epoch, client, keeper })
        })?
    }
}

impl Drop for Ownership {
    fn drop(&mut self) {
        self.keeper.abort();
        // Whoever starts next is not to find the lock held by a connection that is about to end.
        let unlock = async {
            if let Some(client) = self.client.lock().await.take() {
                let release = format!("DELETE FROM hosts WHERE epoch = {}; {UNLOCK}", self.epoch);
                let _ = client.batch_execute(&release).await;
            }
        };
        let _ = wait_for(async { tokio::time::timeout(PATIENCE, unlock).await });
    }
}

async fn wait_for_lock(client: &Client, place: &Place, statement: &str) -> Result<(), StoreError> {
    let told = |error: Error| failed(&place.told, &error);
    let mut taken_since = Instant::now();
    loop {
        if lock(client, statement).await.map_err(told)? {
            let alone = statement == LOCK;
            if !alone || !client.query_one(MAY_COME_BACK, &[]).await.map_err(told)?.get::<_, bool>(0) {
                return Ok(());
            }
            client.batch_execute(UNLOCK).await.map_err(told)?;
            taken_since = Instant::now();
        }
        if taken_since.elapsed() > PATIENCE {
            return Err(StoreError::Taken { store: place.told.clone() });
        }
        tokio::time::sleep(LOOK_INTERVAL).await;
    }
}

async fn lock(client: &Client, statement: &str) -> Result<bool, Error> {
    Ok(client.query_one(statement, &[]).await?.get(0))
}

async fn take(client: &Client, id: (u64, u64), alone: bool) -> Result<u64, Error> {
    let journal = purefold_wit::uuid::format(id.0, id.1);
    client.execute("INSERT INTO meta (name, value) VALUES ('journal', $1) ON CONFLICT DO NOTHING", &[&journal]).await?;
    if !alone {
        return Ok(0);
    }
    client.batch_execute("BEGIN").await?;
    client.batch_execute(END_ALL).await?;
    client.batch_execute(NEXT_EPOCH).await?;
    let epoch: i64 = client.query_one(EPOCH, &[]).await?.get(0);
    let name = "coalesce(host(inet_client_addr()), 'this machine') || ', process ' || $2::text";
    let process = std::process::id().to_string();
    let join = format!("INSERT INTO hosts (epoch, name, workflows, until, since, commits) VALUES ($1, {name}, '', 0, 0, 0)");
    client.execute(&join, &[&epoch, &process]).await?;
    client.batch_execute("COMMIT").await?;
    Ok(epoch.unsigned_abs())
}

/// Takes the lock again where the connection that held it broke off. Where another host has it by now, the next commit finds
/// out.
async fn keep(client: Arc<Mutex<Option<Arc<Client>>>>, place: Arc<Place>, statement: &'static str) {
    loop {
        tokio::time::sleep(KEEP_INTERVAL).await;
        let mut held = client.lock().await;
        if held.as_ref().is_some_and(|client| !client.is_closed()) {
            continue;
        }
        *held = None;
        let Ok(Open { client, .. }) = Open::connect(&place).await else { continue };
        if matches!(lock(&client, statement).await, Ok(true)) {
            tracing::info!(store = %place.told, "the store is locked again");
            *held = Some(client);
        }
    }
}

//! Which host has the store. For now that is one at a time: whoever holds the lock.
//!
//! The lock keeps a second host from starting by mistake. That no two ever write does not rest on it: each start takes an
//! epoch and removes the ones before, and every commit needs the row of its own epoch.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Mutex;
use tokio::task::JoinHandle;
use tokio_postgres::{Client, Error};

use super::failure::failed;
use super::session::{Open, wait_for};
use super::{Place, schema};
use crate::store::StoreError;

/// How long a lock is waited for: a host that was killed may still be about to leave.
const PATIENCE: Duration = Duration::from_millis(500);
const LOOK_INTERVAL: Duration = Duration::from_millis(50);

/// How often it is looked whether the connection that holds the lock is there.
const KEEP_INTERVAL: Duration = Duration::from_millis(500);

const LOCK: &str = "SELECT pg_try_advisory_lock(hashtext('purefold host'), hashtext(current_schema()))";

const UNLOCK: &str = "SELECT pg_advisory_unlock_all()";

/// Whether the server has just started, and a host that had the store may be about to lock it again.
const MAY_COME_BACK: &str = "SELECT EXISTS (SELECT 1 FROM hosts WHERE released IS NULL) \
                             AND clock_timestamp() < pg_postmaster_start_time() + interval '5 seconds'";

/// An epoch of its own; those before end with it, once what they commit just now is done.
const TAKE: &str = "WITH ended AS (DELETE FROM hosts RETURNING epoch) \
                    SELECT coalesce((SELECT max(epoch) FROM ended), 0) + 1";

/// The store, for as long as it is held.
pub(in crate::store) struct Ownership {
    /// Counts the starts of hosts on this store.
    pub(super) epoch: i64,
    client: Arc<Mutex<Option<Client>>>,
    keeper: JoinHandle<()>,
}

impl Ownership {
    /// Brings the tables forward and takes the store, which begins as journal `id` where it is new.
    pub(super) fn take(place: &Arc<Place>, id: (u64, u64)) -> Result<Self, StoreError> {
        wait_for(async {
            let Open { client, .. } = Open::connect(place).await?;
            schema::STEPS.bring_forward(&client, place).await?;
            wait_for_lock(&client, place).await?;
            let epoch = take(&client, id).await.map_err(|error| failed(&place.told, &error))?;
            let client = Arc::new(Mutex::new(Some(client)));
            let keeper = tokio::spawn(keep(client.clone(), place.clone()));
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
                let release = format!("UPDATE hosts SET released = now() WHERE epoch = {}; {UNLOCK}", self.epoch);
                let _ = client.batch_execute(&release).await;
            }
        };
        let _ = wait_for(async { tokio::time::timeout(PATIENCE, unlock).await });
    }
}

async fn wait_for_lock(client: &Client, place: &Place) -> Result<(), StoreError> {
    let told = |error: Error| failed(&place.told, &error);
    let mut taken_since = Instant::now();
    loop {
        if lock(client).await.map_err(told)? {
            if !client.query_one(MAY_COME_BACK, &[]).await.map_err(told)?.get::<_, bool>(0) {
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

async fn lock(client: &Client) -> Result<bool, Error> {
    Ok(client.query_one(LOCK, &[]).await?.get(0))
}

async fn take(client: &Client, id: (u64, u64)) -> Result<i64, Error> {
    let journal = purefold_wit::uuid::format(id.0, id.1);
    client.execute("INSERT INTO meta (name, value) VALUES ('journal', $1) ON CONFLICT DO NOTHING", &[&journal]).await?;
    client.batch_execute("BEGIN").await?;
    let epoch: i64 = client.query_one(TAKE, &[]).await?.get(0);
    let name = "coalesce(host(inet_client_addr()), 'this machine') || ', process ' || $2::text";
    let process = std::process::id().to_string();
    client.execute(&format!("INSERT INTO hosts (epoch, name) VALUES ($1, {name})"), &[&epoch, &process]).await?;
    client.batch_execute("COMMIT").await?;
    Ok(epoch)
}

/// Takes the lock again where the connection that held it broke off. Where another host has it by now, the next commit finds
/// out.
async fn keep(client: Arc<Mutex<Option<Client>>>, place: Arc<Place>) {
    loop {
        tokio::time::sleep(KEEP_INTERVAL).await;
        let mut held = client.lock().await;
        if held.as_ref().is_some_and(|client| !client.is_closed()) {
            continue;
        }
        *held = None;
        let Ok(Open { client, .. }) = Open::connect(&place).await else { continue };
        if matches!(lock(&client).await, Ok(true)) {
            tracing::info!(store = %place.told, "the store is locked again");
            *held = Some(client);
        }
    }
}

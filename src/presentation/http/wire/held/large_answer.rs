use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use tokio::time::timeout;

use super::room::{ByteRoom, HeldBytes};
use super::unwritten::Holding;
use crate::application::ports::BYTES_AT_ONCE;
use crate::domain::access::principal::Tenant;
use crate::presentation::http::wire::problem::Problem;

/// What all answers that may be long come to together, from before they are read in the database until they are written.
const BYTES: usize = 256 * 1024 * 1024;

/// What is read in one go, or more where one message is more.
const PAGE: usize = BYTES_AT_ONCE as usize;

/// Bounds what answers that may be long take of the memory, for all of them and for those of one tenant: half of it, so that
/// one that does not read its answers leaves room to the others. Copies share it.
#[derive(Clone)]
pub struct LargeAnswers {
    room: ByteRoom,
    /// Of one tenant.
    share: usize,
    shares: Arc<Mutex<HashMap<Tenant, Weak<ByteRoom>>>>,
    /// The content of a message.
    largest: usize,
    /// How long a request waits for room.
    patience: Duration,
}

/// Room for an answer.
pub struct RoomForAnswer {
    of_all: HeldBytes,
    of_tenant: HeldBytes,
    /// Stays for as long as something is held of it.
    _share: Arc<ByteRoom>,
}

impl LargeAnswers {
    pub fn new(largest: usize, patience: Duration) -> Self {
        Self::within(BYTES.max(2 * (PAGE + largest)), largest, patience)
    }

    pub fn within(bytes: usize, largest: usize, patience: Duration) -> Self {
        Self { room: ByteRoom::new(bytes), share: bytes / 2, shares: Arc::default(), largest, patience }
    }

    /// For a list of at most so many messages, or instances.
    ///
    /// # Errors
    /// 503 when there is none for too long.
    pub async fn of_list(&self, tenant: &Tenant, most: u32) -> Result<RoomForAnswer, Problem> {
        let all = self.largest.saturating_mul(most as usize);
        self.of(tenant, all.min(PAGE.saturating_add(self.largest))).await
    }

    /// For one message.
    ///
    /// # Errors
    /// 503 when there is none for too long.
    pub async fn of_one(&self, tenant: &Tenant) -> Result<RoomForAnswer, Problem> {
        self.of(tenant, self.largest).await
    }

    async fn of(&self, tenant: &Tenant, bytes: usize) -> Result<RoomForAnswer, Problem> {
        let share = self.share_of(tenant);
        // The tenant's own first: those of one that waits for itself do not stand in the way of others.
        let both = async { (share.hold(bytes).await, self.room.hold(bytes).await) };
        let (of_tenant, of_all) = timeout(self.patience, both).await.map_err(|_| Problem::too_many_unread())?;
        Ok(RoomForAnswer { of_all, of_tenant, _share: share })
    }

    fn share_of(&self, tenant: &Tenant) -> Arc<ByteRoom> {
        let mut shares = self.shares.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(share) = shares.get(tenant).and_then(Weak::upgrade) {
            return share;
        }
        shares.retain(|_, share| share.strong_count() > 0);
        let share = Arc::new(ByteRoom::new(self.share));
        shares.insert(tenant.clone(), Arc::downgrade(&share));
        share
    }
}

impl RoomForAnswer {
    /// The answer, which keeps as much of the room as it needs until it is written.
    ///
    /// # Errors
    /// 503 when it came to more than there is room for: what needs escapes in JSON is longer than it was.
    pub fn json(mut self, value: &impl Serialize) -> Result<Response, Problem> {
        let mut json = serde_json::to_vec(value).map_err(Problem::internal)?;
        json.shrink_to_fit();
        if !self.of_tenant.resize(json.capacity()) || !self.of_all.resize(json.capacity()) {
            return Err(Problem::too_many_unread());
        }
        let body = Body::from(Bytes::from_owner(Holding { bytes: json, _holds: self }));
        Ok(([(CONTENT_TYPE, "application/json")], body).into_response())
    }
}

//! Threads for what tenants write: a tenant has one at a time, and all together a few.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::Builder;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::timeout;

use crate::application::ports::EvaluationError;
use crate::domain::access::principal::Tenant;

/// Evaluations at the same time, of different tenants.
const AT_ONCE: usize = 4;

/// As long as one waits for its place.
const PATIENCE: Duration = Duration::from_secs(5);

/// As long as one may take. What it may do is bounded besides: a thread is not stopped.
const LONGEST: Duration = Duration::from_secs(5);

/// Bytes of stack for parsers that call themselves for what is nested: it is bounded by what is permitted, and not small.
const STACK: usize = 128 * 1024 * 1024;

/// Tenants whose places are remembered at least.
const REMEMBERED: usize = 1_000;

pub struct Places {
    all: Arc<Semaphore>,
    of_tenants: Mutex<HashMap<Tenant, Arc<Semaphore>>>,
    patience: Duration,
    longest: Duration,
}

impl Default for Places {
    fn default() -> Self {
        Self {
            all: Arc::new(Semaphore::new(AT_ONCE)),
            of_tenants: Mutex::default(),
            patience: PATIENCE,
            longest: LONGEST,
        }
    }
}

impl Places {
    /// Runs it on a thread of its own. One that takes too long keeps its tenant's place until it has ended, and gives back the
    /// one that all share: so it holds up no other tenant.
    ///
    /// # Errors
    /// [`EvaluationError::Busy`] when there was no place in time.
    pub async fn run<T: Send + 'static>(
        &self,
        tenant: &Tenant,
        work: impl FnOnce() -> Result<T, EvaluationError> + Send + 'static,
    ) -> Result<T, EvaluationError> {
        let own = self.own(tenant);
        let both = async {
            let own = own.acquire_owned().await;
            (own, self.all.clone().acquire_owned().await)
        };
        let busy = || EvaluationError::Busy(format!("waited {:?} for its turn", self.patience));
        let (Ok(own), Ok(_shared)) = timeout(self.patience, both).await.map_err(|_| busy())? else {
            return Err(busy());
        };
        let answer = on_a_thread(own, work)?;
        match timeout(self.longest, answer).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(EvaluationError::Unfit("cannot be evaluated: it is too complex".to_owned())),
            Err(_) => Err(EvaluationError::Unfit(format!("takes longer than {:?}", self.longest))),
        }
    }

    fn own(&self, tenant: &Tenant) -> Arc<Semaphore> {
        let mut of_tenants = self.of_tenants.lock().unwrap_or_else(PoisonError::into_inner);
        if of_tenants.len() >= REMEMBERED {
            // One that is held is also known elsewhere.
            of_tenants.retain(|_, own| own.available_permits() == 0 || Arc::strong_count(own) > 1);
        }
        of_tenants.entry(tenant.clone()).or_insert_with(|| Arc::new(Semaphore::new(1))).clone()
    }
}

fn on_a_thread<T: Send + 'static>(
    place: OwnedSemaphorePermit,
    work: impl FnOnce() -> Result<T, EvaluationError> + Send + 'static,
) -> Result<oneshot::Receiver<Result<T, EvaluationError>>, EvaluationError> {
    let (teller, told) = oneshot::channel();
    let thread = Builder::new().name("expression".to_owned()).stack_size(STACK);
    let begun = thread.spawn(move || {
        let answer = work();
        drop(place);
        // The caller may have given up.
        let _ = teller.send(answer);
    });
    begun.map_err(|error| EvaluationError::Busy(format!("found no thread: {error}")))?;
    Ok(told)
}

/// Runs work on a thread that has room for it, and waits for it: one that overflows its stack ends the whole process.
///
/// # Errors
/// What it says, or that there is no such thread.
pub fn on_a_large_stack<T: Send>(work: impl FnOnce() -> Result<T, String> + Send) -> Result<T, String> {
    std::thread::scope(|scope| {
        let thread = Builder::new().name("expression".to_owned()).stack_size(STACK);
        let running = thread.spawn_scoped(scope, work).map_err(|error| format!("cannot be evaluated: {error}"))?;
        running.join().unwrap_or_else(|_| Err("cannot be evaluated: it is too complex".to_owned()))
    })
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    fn tenant(name: &str) -> Tenant {
        Tenant::new(name).unwrap()
    }

    #[tokio::test]
    async fn one_that_takes_too_long_keeps_its_tenants_place_alone() {
        let short = Duration::from_millis(200);
        let places = Arc::new(Places { patience: short, longest: 3 * short, ..Places::default() });
        let (go, wait) = mpsc::channel::<()>();
        let slow = {
            let places = places.clone();
            tokio::spawn(async move {
                let work = move || Ok(wait.recv().is_ok());
                places.run(&tenant("slow"), work).await
            })
        };
        while places.all.available_permits() == AT_ONCE {
            tokio::task::yield_now().await;
        }
        let second = places.run(&tenant("slow"), || Ok(())).await;
        assert!(matches!(second, Err(EvaluationError::Busy(_))), "{second:?}");
        assert!(
            matches!(slow.await.unwrap(), Err(EvaluationError::Unfit(sentence)) if sentence.contains("longer than"))
        );
        // Its thread goes on, and keeps its tenant's place alone.
        assert_eq!(places.all.available_permits(), AT_ONCE);
        assert!(matches!(places.run(&tenant("slow"), || Ok(())).await, Err(EvaluationError::Busy(_))));
        go.send(()).unwrap();
    }

    #[tokio::test]
    async fn others_have_their_turn_meanwhile() {
        let places = Places::default();
        let (go, wait) = mpsc::channel::<()>();
        let slow_tenant = tenant("slow");
        let slow = places.run(&slow_tenant, move || Ok(wait.recv().is_ok()));
        let other = async {
            for _ in 0..20 {
                assert_eq!(places.run(&tenant("other"), || Ok(7)).await, Ok(7));
            }
            go.send(()).unwrap();
        };
        let (slow, ()) = tokio::join!(slow, other);
        assert_eq!(slow, Ok(true));
        let panics = places.run(&slow_tenant, || -> Result<(), _> { panic!("on purpose") }).await;
        assert!(matches!(panics, Err(EvaluationError::Unfit(_))));
    }
}

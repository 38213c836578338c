//! Requests that callers make of a database concurrently, sent as one statement.

use std::collections::HashSet;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures::channel::oneshot;

use crate::application::ports::RepositoryError;

/// A caller's request, to be sent together with others of its kind.
pub trait Batchable: Send + Sync + 'static {
    /// What no two requests of one statement may share, because it could not distinguish them.
    type Key: Eq + Hash + Send;

    /// `None`: compatible with every other request.
    fn key(&self) -> Option<Self::Key> {
        None
    }

    /// Bytes that it adds to a statement, roughly.
    fn size(&self) -> usize;

    /// The week in which its row lies, where that matters. A statement names all weeks between those of its requests, and is
    /// planned anew for others: what is of older weeks than the last two goes apart, so that it delays nothing else.
    fn week(&self) -> Option<i128> {
        None
    }
}

/// A statement that answers many requests of one kind together, in one transaction.
#[async_trait]
pub trait Batch: Send + Sync + 'static {
    type Request: Batchable;
    type Answer: Send + 'static;

    /// Whether to yield once before the next statement so that ready tasks can join it: larger, fewer statements, but
    /// the database is idle during the yield.
    const LINGERS: bool = true;

    /// The answers, in the order of the requests.
    ///
    /// # Errors
    /// For all of them. Unless it is [`RepositoryError::Unavailable`], nothing was changed, and the requests that may
    /// succeed are tried again, so that only the guilty ones fail.
    async fn execute(&self, requests: &[Self::Request]) -> Result<Vec<Self::Answer>, RepositoryError>;

    /// After [`RepositoryError::Contested`]: for which requests no other transaction holds anything now.
    ///
    /// # Errors
    /// When the database does not answer.
    async fn free(&self, requests: &[Self::Request]) -> Result<Vec<bool>, RepositoryError> {
        Ok(vec![true; requests.len()])
    }
}

/// Gathers requests: while one batch is under way, new ones wait for the next. There is no timer, so a lone request
/// does not wait; the busier the database, the larger the batches.
pub struct Batcher<B: Batch>(Arc<Shared<B>>);

impl<B: Batch> Clone for Batcher<B> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

struct Shared<B: Batch> {
    batch: B,
    queue: Mutex<Queue<B>>,
}

struct Queue<B: Batch> {
    waiting: Vec<Waiting<B>>,
    is_busy: bool,
}

struct Waiting<B: Batch> {
    waiting_since: Instant,
    request: B::Request,
    answer: oneshot::Sender<Result<B::Answer, RepositoryError>>,
}

/// Requests in one statement, at most. More do not make it cheaper, and its callers wait for all of them.
const MOST: usize = 512;

/// A caller that has waited this long gets `Contested` without its statement being sent: so it knows that nothing was
/// changed. Otherwise, when callers arrive faster than statements finish, waits grow without bound while clients retry.
const PATIENCE: Duration = Duration::from_secs(5);

/// Bytes in one statement, unless it is a single request.
const LARGEST: usize = 4 << 20;

impl<B: Batch> Batcher<B> {
    pub fn new(batch: B) -> Self {
        Self(Arc::new(Shared { batch, queue: Mutex::new(Queue { waiting: Vec::new(), is_busy: false }) }))
    }

    /// The request is carried out also when its caller has gone.
    ///
    /// # Errors
    /// The database's error; [`RepositoryError::Unavailable`] also when the task that sends requests has died.
    pub async fn submit(&self, request: B::Request) -> Result<B::Answer, RepositoryError> {
        let (sender, answer) = oneshot::channel();
        if self.0.queue().push(Waiting { waiting_since: Instant::now(), request, answer: sender }) {
            tokio::spawn(Busy { shared: self.0.clone(), is_done: false }.run());
        }
        answer.await.unwrap_or_else(|_| Err(RepositoryError::Unavailable("the statement was given up".to_owned())))
    }
}

/// The task that sends batches, until nothing is waiting.
struct Busy<B: Batch> {
    shared: Arc<Shared<B>>,
    is_done: bool,
}

impl<B: Batch> Busy<B> {
    async fn run(mut self) {
        while let Some(batch) = self.next() {
            let (requests, callers) = batch.into_iter().map(|it| (it.request, it.answer)).unzip();
            answer(&self.shared.batch, requests, callers).await;
            if B::LINGERS {
                tokio::task::yield_now().await;
            }
        }
    }

    fn next(&mut self) -> Option<Vec<Waiting<B>>> {
        let mut queue = self.shared.queue();
        queue.turn_late_ones_away();
        let batch = queue.take();
        // Under the lock: the next caller finds the queue idle, and starts a task.
        queue.is_busy = !batch.is_empty();
        self.is_done = batch.is_empty();
        (!batch.is_empty()).then_some(batch)
    }
}

/// By a panic, or with the runtime: the waiting callers learn that no task sends their requests any more.
impl<B: Batch> Drop for Busy<B> {
    fn drop(&mut self) {
        if !self.is_done {
            let mut queue = self.shared.queue();
            queue.is_busy = false;
            queue.waiting.clear();
        }
    }
}

impl<B: Batch> Shared<B> {
    fn queue(&self) -> MutexGuard<'_, Queue<B>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<B: Batch> Queue<B> {
    /// Returns whether no task was busy so far.
    fn push(&mut self, request: Waiting<B>) -> bool {
        self.waiting.push(request);
        !std::mem::replace(&mut self.is_busy, true)
    }

    /// Nothing was sent for these requests yet, so nothing can have been changed.
    fn turn_late_ones_away(&mut self) {
        let now = Instant::now();
        let late = self.waiting.partition_point(|waiting| now.duration_since(waiting.waiting_since) >= PATIENCE);
        for late in self.waiting.drain(..late) {
            reply(late.answer, Err(RepositoryError::Contested("waited 5 s for its statement".to_owned())));
        }
    }

    /// As many of the waiting requests as fit into one statement, in order of arrival.
    fn take(&mut self) -> Vec<Waiting<B>> {
        let mut keys = HashSet::new();
        let (mut count, mut size) = (0, 0);
        // A few more are looked at than fit, not all of a long queue.
        let looked_at = self.waiting.len().min(2 * MOST);
        let newest = self.waiting.iter().take(looked_at).filter_map(|waiting| waiting.request.week()).max();
        let is_old = |request: &B::Request| newest.zip(request.week()).is_some_and(|(newest, week)| week + 1 < newest);
        let are_old = self.waiting.first().is_some_and(|first| is_old(&first.request));
        let fits = |waiting: &mut Waiting<B>| {
            if is_old(&waiting.request) != are_old {
                return false;
            }
            let larger = size + waiting.request.size();
            // Also a request that does not fit keeps later ones of its key from overtaking it.
            let is_alone = waiting.request.key().is_none_or(|key| keys.insert(key));
            if count == MOST || (count > 0 && larger > LARGEST) {
                return false;
            }
            if is_alone {
                (count, size) = (count + 1, larger);
            }
            is_alone
        };
        self.waiting.extract_if(..looked_at, fits).collect()
    }
}

type Caller<B> = oneshot::Sender<Result<<B as Batch>::Answer, RepositoryError>>;

/// Gets every caller its answer.
async fn answer<B: Batch>(batch: &B, mut requests: Vec<B::Request>, mut callers: Vec<Caller<B>>) {
    let mut error = match batch.execute(&requests).await {
        Ok(answers) => return reply_each(callers, answers),
        Err(error) => error,
    };
    if matches!(error, RepositoryError::Contested(_)) && requests.len() > 1 {
        let free = match batch.free(&requests).await {
            Ok(free) => free,
            Err(cause) => return reply_all(callers, &cause),
        };
        let all = requests.into_iter().zip(callers).zip(free);
        let (free, held): (Vec<_>, Vec<_>) = all.partition(|(_, is_free)| *is_free);
        reply_all(held.into_iter().map(|((_, caller), _)| caller), &error);
        if free.is_empty() {
            return;
        }
        (requests, callers) = free.into_iter().map(|(request, _)| request).unzip();
        error = match batch.execute(&requests).await {
            Ok(answers) => return reply_each(callers, answers),
            Err(error) => error,
        };
    }
    if error.may_pass() || requests.len() == 1 {
        return reply_all(callers, &error);
    }
    let mut callers = callers.into_iter();
    for (request, caller) in requests.chunks(1).zip(callers.by_ref()) {
        let answer = batch.execute(request).await.and_then(only);
        // Each of the remaining requests would take as long.
        let given_up = answer.as_ref().err().filter(|error| error.may_pass()).cloned();
        reply(caller, answer);
        if let Some(error) = given_up {
            return reply_all(callers, &error);
        }
    }
}

fn reply_each<A>(callers: Vec<oneshot::Sender<Result<A, RepositoryError>>>, answers: Vec<A>) {
    for (caller, answer) in callers.into_iter().zip(answers) {
        reply(caller, Ok(answer));
    }
}

fn reply_all<A>(
    callers: impl IntoIterator<Item = oneshot::Sender<Result<A, RepositoryError>>>,
    error: &RepositoryError,
) {
    for caller in callers {
        reply(caller, Err(error.clone()));
    }
}

fn reply<A>(caller: oneshot::Sender<Result<A, RepositoryError>>, answer: Result<A, RepositoryError>) {
    // A caller that has gone does not need it.
    let _ = caller.send(answer);
}

fn only<T>(answers: Vec<T>) -> Result<T, RepositoryError> {
    let unanswered = || RepositoryError::Corrupt("a request has no answer".to_owned());
    answers.into_iter().next().ok_or_else(unanswered)
}

#[cfg(test)]
#[path = "batcher_tests.rs"]
mod tests;

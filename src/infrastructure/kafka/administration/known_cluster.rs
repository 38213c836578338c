//! The cluster as it was described last.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::application::ports::{AdministrationError, Clock, Cluster};

/// How long a cluster is taken to be as it was.
const KNOWN_FOR: Duration = Duration::from_secs(5);

/// For how long a failure is the answer for those that come after it: a broker that is away is asked by one at a time, for seconds.
const FAILED_FOR: Duration = Duration::from_secs(2);

type Answer = Result<Cluster, AdministrationError>;

/// Every path of the REST Proxy's version 3 names the cluster: what one question has found is the answer for all that ask meanwhile.
pub struct KnownCluster {
    clock: Arc<dyn Clock>,
    last: Mutex<Last>,
    /// Held by the one that asks.
    turn: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Last {
    /// And when it came, by the monotonic clock.
    answer: Option<(Duration, Answer)>,
    /// Of the last answer that was one.
    id: Option<String>,
}

impl KnownCluster {
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, last: Mutex::default(), turn: tokio::sync::Mutex::default() }
    }

    /// What is known, or what `question` finds.
    pub async fn get(self: &Arc<Self>, question: impl Future<Output = Answer> + Send + 'static) -> Answer {
        if let Some(answer) = self.fresh() {
            return answer;
        }
        let known = self.clone();
        // A caller that goes leaves the answer to those that wait for it.
        let asking = tokio::spawn(async move {
            let _turn = known.turn.lock().await;
            if let Some(answer) = known.fresh() {
                return answer;
            }
            let answer = question.await;
            known.learn(&answer);
            answer
        });
        asking.await.map_err(|panicked| AdministrationError::Failed(panicked.to_string()))?
    }

    /// The cluster's name, however long ago it was heard.
    pub fn id(&self) -> Option<String> {
        self.last().id.clone()
    }

    fn fresh(&self) -> Option<Answer> {
        let (at, answer) = self.last().answer.clone()?;
        let holds_for = if answer.is_ok() { KNOWN_FOR } else { FAILED_FOR };
        (self.clock.monotonic().saturating_sub(at) < holds_for).then_some(answer)
    }

    fn learn(&self, answer: &Answer) {
        let mut last = self.last();
        last.answer = Some((self.clock.monotonic(), answer.clone()));
        if let Ok(cluster) = answer {
            last.id = Some(cluster.id.clone());
        }
    }

    fn last(&self) -> MutexGuard<'_, Last> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures::future::join_all;
    use tokio::sync::Semaphore;

    use super::*;
    use crate::set_clock::SetClock;

    /// A Kafka whose answers wait until they are let go.
    struct Scene {
        clock: Arc<SetClock>,
        known: Arc<KnownCluster>,
        asked: Arc<AtomicUsize>,
        answers: Arc<Semaphore>,
    }

    impl Scene {
        fn new() -> Self {
            let clock = Arc::new(SetClock::default());
            let known = Arc::new(KnownCluster::new(clock.clone()));
            Self { clock, known, asked: Arc::default(), answers: Arc::new(Semaphore::new(0)) }
        }

        async fn get(&self, answer: Answer) -> Answer {
            let (asked, answers) = (self.asked.clone(), self.answers.clone());
            let question = async move {
                asked.fetch_add(1, Ordering::Relaxed);
                answers.acquire().await.unwrap().forget();
                answer
            };
            self.known.get(question).await
        }

        fn asked(&self) -> usize {
            self.asked.load(Ordering::Relaxed)
        }
    }

    fn away() -> Answer {
        Err(AdministrationError::Unavailable("no broker answers".to_owned()))
    }

    #[tokio::test]
    async fn those_that_come_while_kafka_is_away_share_one_question() {
        let scene = Scene::new();
        scene.answers.add_permits(1);
        let answers = join_all((0..20).map(|_| scene.get(away()))).await;
        assert!(answers.iter().all(Result::is_err));
        assert_eq!((scene.get(away()).await, scene.asked(), scene.known.id()), (away(), 1, None));
        scene.clock.pass(FAILED_FOR);
        scene.answers.add_permits(1);
        assert_eq!((scene.get(away()).await, scene.asked()), (away(), 2), "it is asked again");
    }

    #[tokio::test]
    async fn a_caller_that_goes_leaves_the_answer_and_the_name_lasts() {
        let scene = Scene::new();
        let cluster = Cluster { id: "one".to_owned(), controller: None, brokers: Vec::new() };
        let gone = tokio::time::timeout(Duration::from_millis(20), scene.get(Ok(cluster.clone()))).await;
        assert!(gone.is_err());
        scene.answers.add_permits(1);
        assert_eq!((scene.get(away()).await, scene.asked()), (Ok(cluster), 1));
        scene.clock.pass(KNOWN_FOR);
        scene.answers.add_permits(1);
        assert_eq!(scene.get(away()).await, away());
        assert_eq!(scene.known.id().as_deref(), Some("one"), "it is still called so");
    }
}

use std::time::Duration;

use futures::future::join_all;
use tokio::sync::{Semaphore, mpsc};

use super::*;

/// Answers each number with itself, one statement a permit; refuses statements with a 13, does not answer those with a
/// 99, waits in vain for another's lock in those with a 55, and panics at 666. Numbers of one hundred share a key.
struct Echo {
    permits: Semaphore,
    statements: mpsc::UnboundedSender<Vec<u32>>,
}

impl Batchable for u32 {
    type Key = u32;

    fn key(&self) -> Option<u32> {
        (*self >= 100).then_some(self / 100)
    }

    fn size(&self) -> usize {
        if *self == 4 { LARGEST } else { 1 }
    }

    /// Of millions.
    fn week(&self) -> Option<i128> {
        (*self >= 1_000_000).then_some(i128::from(*self / 1_000_000))
    }
}

#[async_trait]
impl Batch for Echo {
    type Request = u32;
    type Answer = u32;

    async fn execute(&self, requests: &[u32]) -> Result<Vec<u32>, RepositoryError> {
        self.permits.acquire().await.unwrap().forget();
        self.statements.send(requests.to_vec()).unwrap();
        match requests {
            _ if requests.contains(&666) => panic!("a defect"),
            _ if requests.contains(&13) => Err(RepositoryError::Refused("unlucky".to_owned())),
            _ if requests.contains(&55) => Err(RepositoryError::Contested("held".to_owned())),
            _ if requests.contains(&99) => Err(RepositoryError::Unavailable("away".to_owned())),
            _ => Ok(requests.to_vec()),
        }
    }

    async fn free(&self, requests: &[u32]) -> Result<Vec<bool>, RepositoryError> {
        Ok(requests.iter().map(|request| *request != 55).collect())
    }
}

struct Story {
    echo: Batcher<Echo>,
    statements: mpsc::UnboundedReceiver<Vec<u32>>,
}

impl Story {
    fn begin() -> Self {
        let (sender, statements) = mpsc::unbounded_channel();
        Self { echo: Batcher::new(Echo { permits: Semaphore::new(0), statements: sender }), statements }
    }

    /// Submits 1, and while that is under way the others; then lets all statements through.
    async fn submit(&self, numbers: impl IntoIterator<Item = u32>) -> Vec<Result<u32, RepositoryError>> {
        let mut submitted = vec![];
        for number in std::iter::once(1).chain(numbers) {
            let echo = self.echo.clone();
            submitted.push(tokio::spawn(async move { echo.submit(number).await }));
            // On one thread every task has submitted, and the first statement has begun, when we are back.
            tokio::task::yield_now().await;
            tokio::task::yield_now().await;
        }
        self.echo.0.batch.permits.add_permits(10_000);
        let all =
            tokio::time::timeout(Duration::from_secs(10), join_all(submitted)).await.expect("a caller waits for ever");
        all.into_iter().map(Result::unwrap).collect()
    }

    fn statements(&mut self) -> Vec<Vec<u32>> {
        std::iter::from_fn(|| self.statements.try_recv().ok()).collect()
    }
}

#[tokio::test]
async fn who_comes_while_a_statement_is_under_way_shares_the_next() {
    let mut story = Story::begin();
    let answers = story.submit([2, 3, 5]).await;
    assert_eq!(answers.into_iter().map(Result::unwrap).collect::<Vec<_>>(), [1, 2, 3, 5]);
    assert_eq!(story.statements(), [vec![1], vec![2, 3, 5]]);
    // And the next is sent immediately.
    assert_eq!(story.echo.submit(7).await.unwrap(), 7);
    assert_eq!(story.statements(), [[7]]);
}

/// The statement that names their weeks is planned for all weeks between.
#[tokio::test]
async fn what_lies_in_older_weeks_goes_apart_from_what_lies_in_the_last_two() {
    let mut story = Story::begin();
    let numbers = [9_000_000, 1_000_000, 9_000_100, 8_000_000, 5, 2_000_000];
    let answers = story.submit(numbers).await;
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    let expected = [vec![1], vec![9_000_000, 9_000_100, 8_000_000, 5], vec![1_000_000, 2_000_000]];
    assert_eq!(story.statements(), expected);
    // An old one that came first is not kept waiting.
    let mut story = Story::begin();
    story.submit([1_000_000, 9_000_000, 2_000_000]).await;
    assert_eq!(story.statements(), [vec![1], vec![1_000_000, 2_000_000], vec![9_000_000]]);
}

#[tokio::test]
async fn only_the_guilty_one_is_refused() {
    let mut story = Story::begin();
    let answers = story.submit([2, 13, 3]).await;
    assert!(matches!(answers[..], [Ok(1), Ok(2), Err(RepositoryError::Refused(_)), Ok(3)]), "{answers:?}");
    assert_eq!(story.statements(), [vec![1], vec![2, 13, 3], vec![2], vec![13], vec![3]]);
}

#[tokio::test]
async fn a_database_that_does_not_answer_gets_no_request_again() {
    let mut story = Story::begin();
    let answers = story.submit([2, 99, 3]).await;
    assert_eq!(answers.iter().filter(|answer| answer.as_ref().is_err_and(|it| it.may_pass())).count(), 3);
    assert_eq!(story.statements(), [vec![1], vec![2, 99, 3]]);

    let mut story = Story::begin();
    let answers = story.submit([13, 2, 99, 3]).await;
    assert!(matches!(answers[2], Ok(2)), "{answers:?}");
    assert!(answers[3].is_err() && answers[4].is_err(), "{answers:?}");
    assert_eq!(story.statements(), [vec![1], vec![13, 2, 99, 3], vec![13], vec![2], vec![99]]);
}

#[tokio::test]
async fn only_what_somebody_else_holds_is_kept_waiting() {
    let mut story = Story::begin();
    let answers = story.submit([2, 55, 3, 55, 55, 5]).await;
    let held = |answer: &Result<u32, RepositoryError>| matches!(answer, Err(RepositoryError::Contested(_)));
    assert!(matches!(answers[..], [Ok(1), Ok(2), _, Ok(3), _, _, Ok(5)]), "{answers:?}");
    assert!(held(&answers[2]) && held(&answers[4]) && held(&answers[5]), "{answers:?}");
    assert_eq!(story.statements(), [vec![1], vec![2, 55, 3, 55, 55, 5], vec![2, 3, 5]]);

    // Alone, or all of them: no request is left to send without them.
    let mut story = Story::begin();
    assert!(story.submit([55]).await.iter().skip(1).all(held));
    assert_eq!(story.statements(), [[1], [55]]);
    let mut story = Story::begin();
    assert!(story.submit([55, 55]).await.iter().skip(1).all(held));
    assert_eq!(story.statements(), [vec![1], vec![55, 55]]);
}

#[tokio::test]
async fn a_request_that_has_waited_too_long_is_contested_without_being_sent() {
    for (number, ends) in [(99, false), (7, true)] {
        let mut story = Story::begin();
        let submit = |number| {
            let echo = story.echo.clone();
            tokio::spawn(async move { echo.submit(number).await })
        };
        let is_waiting = |count| story.echo.0.queue().is_busy && story.echo.0.queue().waiting.len() == count;
        let ahead = submit(number);
        tokio::task::yield_now().await;
        while !is_waiting(0) {
            tokio::task::yield_now().await;
        }
        let (late, in_time) = (submit(2), submit(3));
        while !is_waiting(2) {
            tokio::task::yield_now().await;
        }
        story.echo.0.queue().waiting[0].waiting_since -= PATIENCE;
        story.echo.0.batch.permits.add_permits(10);
        assert_eq!(ahead.await.unwrap().is_ok(), ends);
        assert!(matches!(late.await.unwrap(), Err(RepositoryError::Contested(_))));
        assert_eq!(in_time.await.unwrap().unwrap(), 3);
        assert_eq!(story.statements(), [[number], [3]]);
    }
}

#[tokio::test]
async fn requests_that_share_a_key_come_one_after_the_other() {
    let mut story = Story::begin();
    story.submit([101, 201, 102, 2, 103]).await;
    assert_eq!(story.statements(), [vec![1], vec![101, 201, 2], vec![102], vec![103]]);
}

#[tokio::test]
async fn a_statement_has_bounds() {
    let mut story = Story::begin();
    story.submit([2, 4, 4, 3]).await;
    assert_eq!(story.statements(), [vec![1], vec![2, 3], vec![4], vec![4]]);

    let mut story = Story::begin();
    story.submit(std::iter::repeat_n(5, MOST + 1)).await;
    assert_eq!(story.statements().iter().map(Vec::len).collect::<Vec<_>>(), [1, MOST, 1]);
}

#[tokio::test]
async fn after_a_panic_nobody_waits_for_ever_and_the_next_is_answered() {
    let mut story = Story::begin();
    let answers = story.submit([666, 667]).await;
    assert!(answers[1..].iter().all(|answer| answer.as_ref().is_err_and(RepositoryError::may_pass)));
    story.statements();
    assert_eq!(story.echo.submit(7).await.unwrap(), 7);
}

#[tokio::test]
async fn a_request_is_carried_out_when_its_caller_has_gone() {
    let mut story = Story::begin();
    drop(futures::poll!(Box::pin(story.echo.submit(1))));
    drop(futures::poll!(Box::pin(story.echo.submit(2))));
    story.echo.0.batch.permits.add_permits(2);
    assert_eq!(story.statements.recv().await.unwrap(), [1, 2]);
}

/// The same, without letting other callers submit first.
struct Prompt(Echo);

#[async_trait]
impl Batch for Prompt {
    type Request = u32;
    type Answer = u32;
    const LINGERS: bool = false;

    async fn execute(&self, requests: &[u32]) -> Result<Vec<u32>, RepositoryError> {
        self.0.execute(requests).await
    }
}

/// A caller that submits again immediately after its answer is in the next statement only if the batch lingers.
#[tokio::test]
async fn the_next_statement_waits_for_callers_that_are_ready_only_if_it_lingers() {
    async fn statements<B: Batch<Request = u32, Answer = u32>>(
        batch: impl FnOnce(Echo) -> B,
        permits: impl Fn(&B) -> &Semaphore,
    ) -> Vec<Vec<u32>> {
        let (sender, mut statements) = mpsc::unbounded_channel();
        let batcher = Batcher::new(batch(Echo { permits: Semaphore::new(0), statements: sender }));
        let (first, second) = (batcher.clone(), batcher.clone());
        let first = tokio::spawn(async move { (first.submit(1).await.unwrap(), first.submit(2).await.unwrap()) });
        tokio::task::yield_now().await;
        tokio::task::yield_now().await;
        let second = tokio::spawn(async move { second.submit(20).await.unwrap() });
        tokio::task::yield_now().await;
        permits(&batcher.0.batch).add_permits(10);
        assert_eq!((first.await.unwrap(), second.await.unwrap()), ((1, 2), 20));
        std::iter::from_fn(|| statements.try_recv().ok()).collect()
    }

    assert_eq!(statements(|echo| echo, |echo| &echo.permits).await, [vec![1], vec![20, 2]]);
    assert_eq!(statements(Prompt, |prompt| &prompt.0.permits).await, [vec![1], vec![20], vec![2]]);
}

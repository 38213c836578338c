//! `…/records`: a stream of records, and a stream of answers.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use futures::{StreamExt, stream};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout_at};

use super::super::error::{Refusals, RestError};
use super::super::open_streams::OpenStream;
use super::super::publishing::{Underway, confirmed, publish};
use super::super::request::{Named, RestCaller, TO_WRITE};
use super::objects::Objects;
use super::record::{Answered, Read, Written};
use super::shape::Place;
use crate::domain::access::principal::Principal;
use crate::domain::topic::{TopicName, TopicRecord};
use crate::presentation::http::wire::body::{is_compressed, is_json, without_mark};
use crate::presentation::http::wire::readiness::Readiness;
use crate::presentation::http::wire::serving::leave_place;
use crate::presentation::http::wire::state::SharedState;

/// How long records may come on one connection.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// For which a stream may be silent while the process stops.
const SILENCE_AT_A_STOP: Duration = Duration::from_millis(500);

/// The same of one whose records go on coming: it is then as one that was open for too long.
const LONGEST_OF_A_STOP: Duration = Duration::from_secs(2);

/// Records that are stored together at most.
const AT_ONCE: usize = 500;

/// Records whose answers are waited for.
const MOST_UNANSWERED: usize = 1_000;

/// Answers that are written together at most.
const ANSWERS_AT_ONCE: usize = 256;

/// What a stream of records goes to.
struct Target {
    state: SharedState,
    caller: Principal,
    cluster: String,
    topic: TopicName,
    open: OpenStream,
}

/// What a record is answered, once it is known.
enum Answer {
    Known(RestError),
    Awaited(Underway, Answered),
}

/// Publish records, one JSON object after the other
///
/// Each is stored before it is published, and answered in its order, by an object on a line of its own: the status is 200 also
/// when every record failed, and `error_code` says how each has fared (202: kept, and not confirmed yet). What is not JSON ends the
/// stream.
#[utoipa::path(post, path = "/v3/clusters/{cluster_id}/topics/{topic_name}/records", operation_id = "produceRecords", tag = "kafka",
    params(("cluster_id" = String, Path, description = "The cluster"), ("topic_name" = String, Path, description = "The topic")),
    request_body(content = Object, description = "`partition_id`, `headers`, `key`, `value`, `timestamp`: all optional; any number of such objects"),
    responses((status = 200, content_type = "application/json", body = Object, description = "An object a record"), Refusals))]
pub async fn produce(
    caller: RestCaller,
    State(state): State<SharedState>,
    Named((cluster, topic)): Named<(String, String)>,
    request: Request,
) -> Result<Response, RestError> {
    let caller = caller.must(TO_WRITE)?.clone();
    let cluster = Place::id(&state, &cluster).await?;
    let topic =
        TopicName::parse(topic).map_err(|error| RestError::new(400, format!("Bad Request: the path {error}.")))?;
    if !is_json(request.headers()) {
        return Err(RestError::unsupported_media_type());
    }
    // A stream is read as it comes.
    if is_compressed(request.headers()) {
        return Err(RestError::new(415, "HTTP 415 Unsupported Media Type: records are not taken compressed."));
    }
    let open = state.streams.open(&caller.tenant)?;
    leave_place();
    let mut body = request.into_body();
    let mut objects = Objects::default();
    let (mut blank, most, end) = (0, state.topics.bodies.most, Instant::now() + PATIENCE);
    while objects.is_blank() {
        let arrived = timeout_at(end, piece(&mut body)).await;
        match arrived.map_err(|_| RestError::new(408, "No record has come for 30 s."))? {
            Some(piece) => {
                let text = if blank == 0 { without_mark(&piece)? } else { piece.as_ref() };
                blank += piece.len();
                objects.arrived(text);
            }
            None => return Err(RestError::new(42206, "Payload error. Request body is empty. Data is required.")),
        }
        if blank > most && objects.is_blank() {
            return Err(too_large(most));
        }
    }
    let target = Target { state: state.clone(), caller, cluster, topic, open };
    Ok(answers(target, objects, body))
}

/// For the first record: until it comes, nothing is answered.
const PATIENCE: Duration = Duration::from_secs(30);

async fn piece(body: &mut Body) -> Option<Bytes> {
    loop {
        // What breaks off is at its end.
        if let Ok(piece) = body.frame().await?.ok()?.into_data() {
            return Some(piece);
        }
    }
}

fn answers(target: Target, objects: Objects, body: Body) -> Response {
    let (sender, receiver) = mpsc::channel(MOST_UNANSWERED);
    let (state, cluster, topic) = (target.state.clone(), target.cluster.clone(), target.topic.clone());
    // Until the last answer is written, too.
    let open = target.open.clone();
    target.state.tasks.clone().spawn(take(target, objects, body, sender));
    let answers = stream::unfold((receiver, open), async |(mut receiver, open): (mpsc::Receiver<Answer>, _)| {
        receiver.recv().await.map(|answer| (answer, (receiver, open)))
    });
    let written = answers
        .map(move |answer| {
            let (state, cluster, topic) = (state.clone(), cluster.clone(), topic.clone());
            async move { answered(&state, &cluster, &topic, answer).await }
        })
        .buffered(MOST_UNANSWERED)
        .ready_chunks(ANSWERS_AT_ONCE)
        .map(|answers| {
            let lines = answers.iter().map(|answer| format!("{answer}\r\n"));
            Ok::<_, Infallible>(Bytes::from(lines.collect::<String>()))
        });
    ([(CONTENT_TYPE, "application/json")], Body::from_stream(written)).into_response()
}

async fn answered(state: &SharedState, cluster: &str, topic: &TopicName, answer: Answer) -> Value {
    let confirmed = match answer {
        Answer::Known(error) => Err(error),
        Answer::Awaited(underway, answered) => confirmed(state, underway).await.map(|position| (position, answered)),
    };
    match confirmed {
        Ok((position, answered)) => {
            let mut answer = json!({"error_code": 200});
            if let (Some(answer), Value::Object(rest)) =
                (answer.as_object_mut(), answered.placed(cluster, topic.as_str(), position))
            {
                answer.extend(rest);
            }
            answer
        }
        Err(error) => json!(error.body()),
    }
}

/// Takes records until the body ends, or what comes is none. Dropped answers mean that the client has gone.
async fn take(target: Target, mut objects: Objects, mut body: Body, answers: mpsc::Sender<Answer>) {
    let mut end = Instant::now() + LONGEST;
    let most = target.state.topics.bodies.most;
    let readiness = target.state.readiness.clone();
    loop {
        if readiness.is_leaving() {
            end = end.min(Instant::now() + LONGEST_OF_A_STOP);
        }
        let is_over = Instant::now() >= end;
        let (batch, last) = cut(&mut objects, is_over, most);
        if !send(&target, batch, &answers).await {
            return;
        }
        if let Some(error) = last {
            // The client cannot be told otherwise that what follows is not read.
            let _gone = answers.send(Answer::Known(error)).await;
            if is_over {
                const TO_READ_IT: Duration = Duration::from_millis(500);
                sleep(TO_READ_IT).await;
            }
            return;
        }
        if objects.may_have_more() {
            continue;
        }
        let next = tokio::select! {
            next = piece(&mut body) => next,
            // What is complete has been taken, and its client knows by its answers what was.
            () = is_silent_at_a_stop(&readiness) => return,
        };
        match next {
            Some(piece) => objects.arrived(&piece),
            None if objects.is_blank() => return,
            None => {
                let _gone = answers.send(Answer::Known(malformed("the body ends within an object"))).await;
                return;
            }
        }
    }
}

async fn is_silent_at_a_stop(readiness: &Readiness) {
    readiness.is_left().await;
    sleep(SILENCE_AT_A_STOP).await;
}

/// What an object is.
enum Taken {
    Record(Box<Read>),
    Bad(RestError),
}

/// The whole objects that have arrived, and the error that ends the stream after them.
fn cut(objects: &mut Objects, is_over: bool, most: usize) -> (Vec<Taken>, Option<RestError>) {
    let now = chrono::Utc::now().timestamp_millis();
    let mut batch = Vec::new();
    while batch.len() < AT_ONCE {
        let object = match objects.take() {
            Ok(Some(object)) => object,
            Ok(None) => {
                let is_too_large = objects.waiting() > most;
                return (batch, is_too_large.then(|| too_large(most)));
            }
            Err(other) => return (batch, Some(malformed(&format!("`{}` is not the start of an object", other.0)))),
        };
        if is_over {
            let closing = "Streaming connection open for longer than allowed: Connection will be closed.";
            return (batch, Some(RestError::new(408, closing)));
        }
        batch.push(match serde_json::from_slice::<Written<'_>>(object) {
            Ok(written) => written.read(now).map_or_else(Taken::Bad, |read| Taken::Record(Box::new(read))),
            // It is JSON, and not a record.
            Err(error) if error.is_data() => Taken::Bad(RestError::new(400, format!("Bad Request: {error}"))),
            Err(error) => return (batch, Some(malformed(&error.to_string()))),
        });
    }
    (batch, None)
}

fn too_large(most: usize) -> RestError {
    RestError::new(413, format!("The record has more than {most} bytes."))
}

fn malformed(what: &str) -> RestError {
    RestError::new(400, format!("Bad Request: Error processing message: {what}"))
}

/// Returns whether anybody still hears the answers.
async fn send(target: &Target, batch: Vec<Taken>, answers: &mpsc::Sender<Answer>) -> bool {
    let (mut records, mut places) = (Vec::<TopicRecord>::new(), Vec::new());
    for taken in batch {
        places.push(match taken {
            Taken::Record(read) => {
                records.push(read.record);
                Ok(read.answered)
            }
            Taken::Bad(error) => Err(error),
        });
    }
    let begun = match records.is_empty() {
        true => Ok(Vec::new()),
        false => {
            let _place = target.state.in_flight.wait().await;
            publish(&target.state, &target.caller, &target.topic, records).await
        }
    };
    let mut begun = match begun {
        Ok(begun) => begun.into_iter(),
        Err(error) => {
            let body = error.body().clone();
            let again = places.iter().map(|_| Err(RestError::new(body.error_code, body.message.clone())));
            again.collect::<Vec<_>>().into_iter()
        }
    };
    for place in places {
        let answer = match place {
            Err(error) => Answer::Known(error),
            Ok(answered) => match begun.next() {
                Some(Ok(underway)) => Answer::Awaited(underway, answered),
                Some(Err(error)) => Answer::Known(error),
                None => Answer::Known(RestError::new(50002, "The record was lost on its way; it is not stored.")),
            },
        };
        if answers.send(answer).await.is_err() {
            return false;
        }
    }
    true
}

//! `correio bench`: loads a running server over HTTP, receives what it delivers, and reports both.

mod arguments;
mod client;
mod instances;
mod latency;
mod load;
mod message;
mod progress;
mod receiver;
mod report;
mod schedule;
mod tally;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use hyper::Method;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::error::CommandError;
use crate::infrastructure::config::variable;
use arguments::BenchChannel;
use client::{Connection, Server};
use instances::{Instances, States};
use load::Load;
use message::{Marker, RUN_LENGTH, Shape, Template, instance_name};
use progress::Progress;
use receiver::Receiver;
use report::Report;
use schedule::Schedule;
use tally::{Answers, Arrivals};

pub use arguments::BenchArguments;

/// How often the end of a run is looked for, in what we know and in what the server has to count.
const LOOK: Duration = Duration::from_millis(50);
const COUNT: Duration = Duration::from_secs(1);

/// How long the last count may take once there is nothing more to wait for.
const LAST_COUNT: Duration = Duration::from_secs(5);

/// Prints the report on standard output.
///
/// # Errors
/// When there is none, or when not everything was accepted and delivered.
pub async fn run(arguments: BenchArguments) -> Result<(), CommandError> {
    arguments.check()?;
    let server = Server::new(&arguments.url, &api_key(&arguments)?)?;
    let mut instances = Instances::new(server.clone(), arguments.channel.as_str());
    let stop = stop_at_interrupt();
    let measured = measure(&arguments, server, &mut instances, &stop).await;
    if !arguments.keep
        && let Err(sentence) = instances.delete().await
    {
        eprintln!("correio: {sentence}");
    }
    let (report, trouble) = measured?;
    if !arguments.json {
        print!("{report}");
    }
    println!("{}", report.json()?);
    let wrong: Vec<String> = [trouble, report.shortcomings()].into_iter().flatten().collect();
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("; ").into()) }
}

fn api_key(arguments: &BenchArguments) -> Result<String, CommandError> {
    if let Some(key) = arguments.api_key() {
        return Ok(key.to_owned());
    }
    for name in ["BENCH_API_KEY", "BOOTSTRAP_API_KEY"] {
        if let Some(key) = variable(name)? {
            return Ok(key);
        }
    }
    Err("there is no API key: set BENCH_API_KEY, or give --api-key".to_owned().into())
}

/// Cancelled by the first Ctrl-C; the second one ends the process.
fn stop_at_interrupt() -> CancellationToken {
    let stop = CancellationToken::new();
    let stopped = stop.clone();
    tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            stopped.cancel();
            eprintln!("correio: ending the run; once more leaves its instances behind");
            let _at_once = tokio::signal::ctrl_c().await;
            std::process::exit(130);
        }
    });
    stop
}

/// The report, and what went wrong beside what it says.
async fn measure(
    arguments: &BenchArguments,
    server: Arc<Server>,
    instances: &mut Instances,
    stop: &CancellationToken,
) -> Result<(Report, Option<String>), String> {
    let run: String = Uuid::new_v4().simple().to_string().chars().take(RUN_LENGTH).collect();
    let receiver = match arguments.channel {
        BenchChannel::Webhook => Some(Receiver::bind(arguments.receiver_host, arguments.receiver_port).await?),
        BenchChannel::Sandbox => None,
    };
    let address = match (&arguments.receiver_url, &receiver) {
        (Some(url), _) => url.to_string(),
        (None, Some(receiver)) => receiver.url()?,
        (None, None) => "bench".to_owned(),
    };
    for index in 0..arguments.instances {
        instances.make(instance_name(&run, index), &address).await?;
    }
    // A key that may not count is refused before the run, not after it.
    instances.states().await?;
    let connections = connect(&server, arguments.concurrency).await?;
    let template = Template::new(Shape {
        run: &run,
        channel: arguments.channel.as_str(),
        text_size: usize::try_from(arguments.payload_size).unwrap_or(usize::MAX),
        instances: arguments.instances,
        recipients: arguments.recipients,
    });

    let plan = arguments.plan();
    // Its own: a contradiction ends the sending, and is not an interrupt.
    let schedule = Schedule::begin(plan, stop.child_token());
    let arrivals = receiver.map(|receiver| receiver.serve(Marker::new(&run), schedule.began()));
    let load = Arc::new(Load {
        schedule,
        answers: Mutex::new(Answers::new()?),
        mode: arguments.mode,
        head: server.head(Method::POST, "/api/messaging/message/send")?,
    });
    let progress = Progress::show(plan, load.clone(), arrivals.clone());
    load.run(connections, &template).await;
    let contradiction = load.contradiction(&lock(&load.answers));
    if let Some(sentence) = contradiction {
        return Err(sentence.to_owned());
    }
    let ended = wait_for_the_end(&load, arrivals.as_deref(), instances, arguments.wait, stop).await;
    drop(progress);

    let (states, mut trouble) = match ended {
        Ok(states) => (Some(states), None),
        Err(sentence) => (None, Some(sentence)),
    };
    if stop.is_cancelled() {
        trouble = Some("the run was interrupted".to_owned());
    }
    let (answers, arrivals) = (lock(&load.answers), arrivals.as_deref().map(lock));
    let report = Report::new(arguments.options(), &answers, arrivals.as_deref(), load.schedule.unsent(), states);
    Ok((report, trouble))
}

async fn connect(server: &Arc<Server>, count: u32) -> Result<Vec<Connection>, String> {
    let mut connections = Vec::new();
    for _ in 0..count {
        let mut connection = Connection::new(server.clone());
        connection.open().await.map_err(|error| format!("the server does not answer: {error}"))?;
        connections.push(connection);
    }
    Ok(connections)
}

/// Waits until what was accepted has been delivered and has ended at the server too; returns its last counts.
///
/// # Errors
/// When the server does not count at the end of the wait.
async fn wait_for_the_end(
    load: &Load,
    arrivals: Option<&Mutex<Arrivals>>,
    instances: &mut Instances,
    wait: Duration,
    stop: &CancellationToken,
) -> Result<States, String> {
    let deadline = Instant::now() + wait;
    let mut counted_at = Instant::now();
    loop {
        let missing = arrivals.map(|arrivals| lock(&load.answers).accepted.not_in(&lock(arrivals).delivered));
        let over = Instant::now() >= deadline || stop.is_cancelled();
        // Counting is work for the server: while it delivers, it is asked rarely, for what will never be delivered.
        if missing == Some(0) || over || counted_at.elapsed() >= COUNT {
            let patience = deadline.saturating_duration_since(Instant::now()).max(LAST_COUNT);
            let counting = tokio::time::timeout(patience, instances.states());
            let counted = tokio::select! {
                counted = counting => counted.unwrap_or_else(|_| Err("the server does not count in time".to_owned())),
                () = stop.cancelled(), if !over => continue,
            };
            match counted {
                Ok(states) if over || states.open() == 0 => return Ok(states),
                Err(sentence) if over => return Err(sentence),
                // A server that is away now may be back, and deliver, while we wait.
                Ok(_) | Err(_) => counted_at = Instant::now(),
            }
        }
        tokio::time::sleep(LOOK).await;
    }
}

fn lock<T>(shared: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

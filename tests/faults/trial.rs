use std::time::{Duration, Instant};

use super::books::Books;
use super::clients::Clients;
use super::length::Length;
use super::report::Report;
use super::setting::Setting;
use super::stage::{Plan, Stage};

/// How long it may take until nothing is open, after the fault is over and the last message was accepted.
const RECOVERY: Duration = Duration::from_secs(60);

/// How long clients go on sending after the fault, which shall be over for them, too.
const AFTERWARDS: Duration = Duration::from_secs(1);

/// One fault, endured under load.
pub struct Trial {
    name: &'static str,
    plan: Plan,
    /// Whether a message may use up its tries.
    may_fail: bool,
}

impl Trial {
    pub fn of(name: &'static str, setting: Setting) -> Self {
        let plan = Plan { setting, settings: Vec::new(), proxied: false, disk_megabytes: None };
        Self { name, plan, may_fail: true }
    }

    pub fn with(mut self, name: &'static str, value: &'static str) -> Self {
        self.plan.settings.push((name, value));
        self
    }

    /// Messages have tries enough to outlast a short fault; a long one is met with those that they have by default. In direct
    /// mode it is for the caller to try again.
    pub fn delivering_everything(mut self) -> Self {
        self.may_fail = self.plan.setting.is_direct();
        self.with("MAX_RETRIES", "100")
    }

    /// With proxies between us and everybody else.
    pub fn through_proxies(mut self) -> Self {
        self.plan.proxied = true;
        self
    }

    /// With everything that is stored on a disk of this size.
    pub fn on_a_small_disk(mut self, megabytes: u32) -> Self {
        self.plan.disk_megabytes = Some(megabytes);
        self
    }

    /// # Panics
    /// When something was lost, stayed open, or came twice without a reason.
    pub async fn endure(mut self, faults: impl AsyncFnOnce(&mut Stage)) {
        let Some(length) = Length::asked_for() else { return };
        if length == Length::Long {
            self.plan.settings.retain(|(name, _)| *name != "MAX_RETRIES");
            self.may_fail = true;
        }
        let Some(mut stage) = Stage::set(&self.plan, length).await else { return };
        let clients = Clients::start(stage.api.caller(), self.plan.setting.rate(length));
        stage.is_busy().await;
        let begin = Instant::now();
        faults(&mut stage).await;
        let lasted = begin.elapsed();
        tokio::time::sleep(AFTERWARDS).await;
        let sent = clients.stop().await;

        let all_accepted = Instant::now();
        let open = loop {
            let open = stage.open().await;
            if open == 0 || all_accepted.elapsed() >= RECOVERY {
                break open;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        };
        let recovery = all_accepted.elapsed();
        let all_live = stage.all_live();
        stage.hear_the_processes();
        let books = Books::of(&stage, &sent).await;
        let (balance, duplicates) = (books.balance(), books.duplicates());
        let report = Report {
            fault: self.name,
            setting: self.plan.setting,
            lasted,
            sent: &sent,
            delivered: balance.delivered,
            failed: balance.failed,
            duplicates: &duplicates,
            open,
            recovery,
            worst_latency: books.worst_latency(),
        };
        report.publish();

        assert!(balance.errors.is_empty(), "{}: {:#?}", self.name, balance.errors);
        assert_eq!(open, 0, "open {RECOVERY:?} after the end: {:#?}", books.open());
        assert_eq!(duplicates.without_reason, Vec::<String>::new(), "delivered twice without a reason");
        assert!(self.may_fail || balance.failed == 0, "{} were given up", balance.failed);
        // What we refuse because something is away is 503: a 500 says that we do not understand it.
        assert!(!sent.refusals.contains_key("500"), "{:?}", sent.refusals);
        assert!(all_live, "a process died of what others died of");
    }
}

/// Makes a test of every story in the settings that are named before it.
macro_rules! in_settings {
    ($($setting:ident $module:ident: $($story:ident),+;)+) => {
        $(
            mod $module {
                $(
                    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                    async fn $story() {
                        super::$story(crate::faults::setting::Setting::$setting).await;
                    }
                )+
            }
        )+
    };
}
pub(crate) use in_settings;

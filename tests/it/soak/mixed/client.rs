//! A client: creates sessions one after the other, uses each in a random way, and deletes it.

use serde_json::{Value, json};

use super::caller::Caller;
use super::code::{LANGUAGES, Piece, mark};
use super::counter::{self, Save};
use super::dice::Dice;
use super::soak::{KEYS, Soak};
use super::visit::{Visit, creation};

/// The timeout in seconds of code that should end at once. The machine is overloaded.
const SECONDS: u64 = 60;

/// One use of a session.
#[derive(Debug, Clone, Copy)]
enum Step {
    Run,
    OpenPage,
    RunAllLanguages,
    RunIntoTimeout,
    Disconnect,
    UseCdp,
    Watch,
    Download,
    FillDisk,
}

/// The steps with their frequencies.
const STEPS: &[Step] = &[
    Step::Run,
    Step::Run,
    Step::Run,
    Step::OpenPage,
    Step::OpenPage,
    Step::RunAllLanguages,
    Step::RunIntoTimeout,
    Step::Disconnect,
    Step::Disconnect,
    Step::UseCdp,
    Step::UseCdp,
    Step::Watch,
    Step::Download,
    Step::FillDisk,
];

/// A client of one team.
pub struct Client<'a> {
    soak: &'a Soak<'a>,
    number: usize,
    team: usize,
    caller: Caller,
    sessions: usize,
}

impl<'a> Client<'a> {
    pub fn new(soak: &'a Soak<'a>, number: usize) -> Client<'a> {
        let team = number % KEYS.len();
        Client {
            soak,
            number,
            team,
            caller: Caller::new(soak.server, KEYS[team]),
            sessions: 0,
        }
    }

    /// Closes the client's connections.
    pub fn disconnect(&mut self) {
        self.caller = Caller::new(self.soak.server, KEYS[self.team]);
    }

    /// Uses sessions until the round is over.
    pub async fn run(&mut self, mut dice: Dice) {
        while !self.soak.is_over() {
            self.sessions += 1;
            self.use_session(dice.fork()).await;
            self.soak.pause(dice.millis(0, 1500)).await;
        }
    }

    fn mark(&self) -> String {
        mark(self.number, self.sessions)
    }

    async fn use_session(&self, mut dice: Dice) {
        match dice.below(20) {
            0 => self.abandon_creation(dice).await,
            1..=7 => self.save_profile(dice).await,
            8..=9 => self.read_profile(dice).await,
            _ => {
                let created = Visit::create(self.soak, &self.caller, self.mark(), &json!({})).await;
                if let Some(visit) = created {
                    self.take_steps(&visit, &mut dice).await;
                    // A session that nobody deletes is found and deleted when the round is over.
                    if !dice.chance(5) {
                        visit.end().await;
                    }
                }
            }
        }
    }

    /// Disconnects while a session is being created, which ends it.
    async fn abandon_creation(&self, mut dice: Dice) {
        let patience = dice.millis(1, 1200);
        self.caller.disconnect(creation(&json!({})), patience).await;
        self.soak.journal.count("create: disconnected");
    }

    /// Returns the name of a client's profile. The names of different teams are equal.
    fn profile(client: usize) -> String {
        format!("counter {}", client / KEYS.len())
    }

    fn counter_url(&self) -> String {
        self.soak.site.url("/title/counter")
    }

    /// Loads the client's profile, checks its count, stores the next one and saves it.
    async fn save_profile(&self, mut dice: Dice) {
        let name = Self::profile(self.number);
        let counters = &self.soak.counters;
        let expected = counters.expected(self.team, &name);
        let body = json!({"profile": {"name": name}});
        let created = Visit::create(self.soak, &self.caller, self.mark(), &body).await;
        let Some(visit) = created else { return };
        let count = counters.next(self.team, &name);
        let piece = unknown_result(counter::write_code(&self.counter_url(), self.team, count));
        let readings = visit.evaluate(&piece, SECONDS).await;
        let mut is_stored = false;
        if let Some(readings) = &readings {
            self.check_counts(&readings[0], expected, true, &visit);
            is_stored = counter::parse(&readings[1], self.team) == Ok([count; 3]);
            if !is_stored && visit.fault(visit.since).is_none() {
                let journal = &self.soak.journal;
                journal.violation(format!("the page did not store {count}: {readings}"));
            }
        }
        if dice.chance(50) {
            self.take_steps(&visit, &mut dice).await;
        }
        let (dir, since) = (visit.dir.clone(), visit.since);
        let ended = visit.end().await;
        let hits = &self.soak.hits;
        let save = match &ended {
            Some(ended) if ended.warning.is_some() => Save::Rejected,
            Some(ended) if ended.reason != "deleted" => {
                let journal = &self.soak.journal;
                journal.violation(format!("{dir} was not saved, without a warning: {ended:?}"));
                Save::Unknown
            }
            Some(ended) if !ended.is_final => Save::Unknown,
            Some(_) if hits.explaining(&dir, since).is_some() || !is_stored => Save::Damaged,
            Some(_) => Save::Acknowledged,
            None => Save::Unknown,
        };
        self.soak.journal.count(&format!("profile: {save:?}"));
        counters.saved(self.team, &name, count, save);
    }

    /// Reads a profile of the team while others may save it.
    async fn read_profile(&self, mut dice: Dice) {
        let name = Self::profile(dice.below(15));
        let expected = self.soak.counters.expected(self.team, &name);
        let body = json!({"profile": {"name": name, "saveChanges": false}});
        let created = Visit::create(self.soak, &self.caller, self.mark(), &body).await;
        let Some(visit) = created else { return };
        let piece = unknown_result(counter::read_code(&self.counter_url()));
        if let Some(readings) = visit.evaluate(&piece, SECONDS).await {
            self.check_counts_of(&name, &readings[0], expected, false, &visit);
        }
        visit.end().await;
    }

    fn check_counts(&self, reading: &Value, expected: (u64, bool), writes: bool, visit: &Visit) {
        self.check_counts_of(
            &Self::profile(self.number),
            reading,
            expected,
            writes,
            visit,
        );
    }

    fn check_counts_of(
        &self,
        name: &str,
        reading: &Value,
        expected: (u64, bool),
        writes: bool,
        visit: &Visit,
    ) {
        let (journal, counters) = (&self.soak.journal, &self.soak.counters);
        let checked = counter::parse(reading, self.team).and_then(|found| {
            // A fault can hit the browser before the page has read its stores.
            let expected = (expected.0, expected.1 || visit.fault(visit.since).is_some());
            counters.check((self.team, name), expected, found, writes)
        });
        match checked {
            Ok(()) => journal.count("profile: read"),
            Err(problem) => {
                journal.violation(format!(
                    "profile {name} of team {} in {}: {problem}",
                    self.team, visit.dir
                ));
            }
        }
    }

    /// Takes some steps, until the round is over.
    async fn take_steps(&self, visit: &Visit<'_>, dice: &mut Dice) {
        let language: &'static str = dice.pick::<&'static str>(&LANGUAGES);
        let first = Piece::first(language, &visit.mark, &visit.nonce());
        if visit.run(&first, SECONDS).await.is_none() {
            return;
        }
        let count = 1 + dice.below(5);
        for _ in 0..count {
            let mut dice = dice.fork();
            if self.soak.is_over() {
                return;
            }
            let pause = dice.millis(0, 800);
            self.take_step(*dice.pick(STEPS), visit, dice).await;
            self.soak.pause(pause).await;
        }
    }

    async fn take_step(&self, step: Step, visit: &Visit<'_>, mut dice: Dice) {
        let language = *dice.pick(&LANGUAGES);
        let mark = visit.mark.as_str();
        match step {
            Step::Run => {
                let piece = Piece::plain(language, mark, &visit.nonce(), &mut dice);
                visit.run(&piece, SECONDS).await;
            }
            Step::OpenPage => {
                let url = self.soak.site.url(&format!("/title/{mark}"));
                let piece = Piece::page(language, mark, &visit.nonce(), &url);
                visit.run(&piece, SECONDS).await;
            }
            Step::RunAllLanguages => {
                let pieces =
                    LANGUAGES.map(|one| Piece::plain(one, mark, &visit.nonce(), &mut dice));
                let [node, python, bash] = &pieces;
                tokio::join!(
                    visit.run(node, SECONDS),
                    visit.run(python, SECONDS),
                    visit.run(bash, SECONDS)
                );
            }
            Step::RunIntoTimeout => {
                let piece = Piece::endless(language, &visit.nonce());
                visit.run_into_timeout(&piece).await;
            }
            Step::Disconnect => {
                let endless = Piece::endless(language, &visit.nonce());
                visit.disconnect(&endless, dice.millis(1, 1500)).await;
                let next = Piece::plain(language, mark, &visit.nonce(), &mut dice);
                visit.run(&next, SECONDS).await;
            }
            Step::UseCdp => visit.use_cdp(dice).await,
            Step::Watch => visit.watch(dice).await,
            Step::Download => {
                let nonce = visit.nonce();
                let content = hearth_test_support::attachment(&nonce);
                let url = self.soak.site.url(&format!("/download/{nonce}"));
                let piece = Piece::download(&nonce, &url, &content);
                visit.run(&piece, SECONDS).await;
            }
            Step::FillDisk => {
                let mut piece = Piece::plain("bash", mark, &visit.nonce(), &mut dice);
                piece.code = format!("head -c 100M /dev/zero > bulk; {}", piece.code);
                visit.run(&piece, SECONDS).await;
            }
        }
    }
}

/// Returns a piece of node code that prints nothing and has a result in JSON.
fn unknown_result(code: String) -> Piece {
    Piece {
        language: "node",
        code,
        stdout: String::new(),
        result: String::new(),
    }
}

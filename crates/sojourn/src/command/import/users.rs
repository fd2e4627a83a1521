//! `sojourn import users`: reads a file, sends its accounts in batches and reports each.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read as _, stdin};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, ValueEnum};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::client::{Client, Refused};
use crate::command::ServerArguments;
use crate::failure::{Exit, Failure};
use crate::import::{
    self, Auth0Passwords, Format, HashConfig, Options, Parsed, ReadError, Report, RowRefusal,
};
use crate::output;

/// The rows and bytes of one request. The server takes 500 rows and 1 MiB; half of the rows leave time to
/// a busy database, which has seconds for a transaction.
const BATCH_ROWS: usize = 250;
const BATCH_BYTES: usize = 768 << 10;
/// The longest row in bytes, which is sent by itself: 1 MiB less what stands around the rows of a request.
const ROW_BYTES: usize = (1 << 20) - 256;
/// How often a batch is sent again while the server does not answer, with a pause before each.
const ATTEMPTS: u32 = 10;
const PAUSE: Duration = Duration::from_secs(1);
/// Refused rows that are shown; the report has all.
const SHOWN: u64 = 20;
/// More than the longest header line and the first record.
const HEAD_BYTES: usize = 64 << 10;

#[derive(Debug, Args)]
pub struct UsersArguments {
    /// The file; - reads stdin
    file: PathBuf,
    /// What the file is [default: told by its beginning]
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// Check every row, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// What became of each row, as CSV, or as lines of JSON if the name ends in .jsonl
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Keep ids of the form user_…; the others become the external_id, as all do without this flag
    #[arg(long)]
    keep_ids: bool,
    /// What to do about an account that exists already
    #[arg(long, value_enum, default_value_t)]
    on_conflict: OnConflict,
    /// Record no user.created, so that webhooks do not report these accounts
    #[arg(long)]
    no_events: bool,
    /// Count addresses as verified where the source does not say (Django, WordPress)
    #[arg(long)]
    assume_verified: bool,
    /// Import accounts whose password hash cannot be used without a password
    #[arg(long)]
    drop_unknown_passwords: bool,
    /// Keep fields that have no place here as "imported" in the private metadata
    #[arg(long)]
    keep_unknown: bool,
    /// The password hash parameters of the Firebase project, as its console shows them
    #[arg(long, value_name = "FILE")]
    firebase_hash_config: Option<PathBuf>,
    /// The export of password hashes that Auth0's support gives, for the accounts of FILE
    #[arg(long, value_name = "FILE")]
    auth0_passwords: Option<PathBuf>,
    /// The summary as one JSON object
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    server: ServerArguments,
}

/// What to do about an account that exists already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum OnConflict {
    /// Leave it as it is
    #[default]
    Skip,
    /// Stop at the first
    Fail,
}

pub async fn run(arguments: &UsersArguments) -> Result<(), Failure> {
    let options = options(arguments)?;
    let (input, format) = open(arguments)?;
    let client = Client::find(&arguments.server)?;
    let report = match &arguments.report {
        Some(path) => Some(Report::create(path).map_err(|error| not_writable(path, &error))?),
        None => None,
    };
    // The file is read in a thread of its own, no further ahead than one batch.
    let (sender, receiver) = mpsc::channel(BATCH_ROWS);
    let reader = tokio::task::spawn_blocking(move || {
        import::read(input, format, &options, |parsed| sender.blocking_send(parsed).is_ok())
    });
    let mut run = Run { arguments, client, report, batch: Vec::new(), bytes: 0, totals: Totals::default() };
    let sent = run.rows(receiver).await;
    let read = reader.await.unwrap_or(Err(ReadError::Stopped));
    sent?;
    if let Err(error) = read {
        run.note_totals();
        return Err(Failure::new(Exit::Usage, "file_not_readable", "the file cannot be read to its end")
            .because(error.to_string())
            .next(format!("correct the file, and {}", again(arguments.report.is_some()))));
    }
    run.finish(format)
}

struct Run<'a> {
    arguments: &'a UsersArguments,
    client: Client,
    report: Option<Report>,
    batch: Vec<(Parsed, Value)>,
    bytes: usize,
    totals: Totals,
}

#[derive(Default)]
struct Totals {
    rows: u64,
    created: u64,
    existing: u64,
    refused: u64,
    left_out: BTreeMap<String, u64>,
}

impl Run<'_> {
    async fn rows(&mut self, mut rows: mpsc::Receiver<Parsed>) -> Result<(), Failure> {
        while let Some(mut parsed) = rows.recv().await {
            self.totals.rows += 1;
            let mut body = parsed.row.as_mut().map_or(Value::Null, |row| row.body.take());
            let mut bytes = body.to_string().len();
            // The server would refuse the whole request, however often it is sent.
            if bytes > ROW_BYTES {
                parsed.row = Err(too_large(&body, bytes));
                (body, bytes) = (Value::Null, 0);
            }
            if self.batch.len() == BATCH_ROWS || self.bytes + bytes > BATCH_BYTES {
                self.send().await?;
            }
            self.bytes += bytes;
            self.batch.push((parsed, body));
        }
        self.send().await
    }

    /// Sends the rows of the batch that are good, and reports all in their order. A repeated batch
    /// creates nothing twice, so it is sent again whenever the answer may be lost.
    async fn send(&mut self) -> Result<(), Failure> {
        let (rows, mut bodies): (Vec<Parsed>, Vec<Value>) = self.batch.drain(..).unzip();
        self.bytes = 0;
        bodies.retain(|body| !body.is_null());
        let mut results = self.results(&rows, &bodies).await?.into_iter();
        for parsed in &rows {
            match &parsed.row {
                Err(refusal) => self.refused(parsed, refusal)?,
                Ok(_) => {
                    let result = results.next().ok_or_else(|| {
                        Failure::new(Exit::Other, "unexpected_answer", "the server left rows unanswered")
                            .because(format!("it did not answer row {}", parsed.place))
                    })?;
                    self.answered(parsed, &result)?;
                }
            }
        }
        self.flush()
    }

    /// What became of the rows that were sent.
    async fn results(&mut self, rows: &[Parsed], bodies: &[Value]) -> Result<Vec<Value>, Failure> {
        if bodies.is_empty() {
            return Ok(Vec::new());
        }
        let UsersArguments { dry_run, no_events, .. } = self.arguments;
        let body = json!({ "users": bodies, "dry_run": dry_run, "events": !no_events });
        for _ in 1..ATTEMPTS {
            match self.client.post("/v1/users/import", &body).await {
                Err(refused) if refused.is_temporary() => tokio::time::sleep(PAUSE).await,
                answered => return self.read_answer(rows, answered),
            }
        }
        let answered = self.client.post("/v1/users/import", &body).await;
        self.read_answer(rows, answered)
    }

    fn read_answer(&self, rows: &[Parsed], answered: Result<Value, Refused>) -> Result<Vec<Value>, Failure> {
        match answered {
            Ok(answer) => Ok(answer["data"].as_array().cloned().unwrap_or_default()),
            Err(refused) => {
                self.note_totals();
                let first = rows.first().map_or(0, |row| row.place);
                let mut failure = refused.while_doing(&format!("cannot import the rows from {first} on"));
                if failure.exit == Exit::Rejected {
                    // That code says that the other rows are in.
                    failure.exit = Exit::Other;
                }
                Err(failure.next(again(self.report.is_some())))
            }
        }
    }

    fn answered(&mut self, parsed: &Parsed, result: &Value) -> Result<(), Failure> {
        let id = result["id"].as_str();
        match result["status"].as_str() {
            Some("created") => self.totals.created += 1,
            Some("exists") => self.totals.existing += 1,
            _ => {
                let error = &result["error"];
                let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
                let (field, why) = (text(&error["meta"]["param_name"]), text(&error["long_message"]));
                return self.refused(parsed, &RowRefusal::new(field, why, "correct the row"));
            }
        }
        let exists = result["status"] == "exists";
        let by = result["matched_by"].as_str().unwrap_or_default();
        if !exists {
            for name in &parsed.left_out {
                *self.totals.left_out.entry(name.clone()).or_default() += 1;
            }
        }
        if let Some(report) = &mut self.report {
            let status = if exists { "exists" } else { "created" };
            // A dry run makes no account, so an id that the server chose will never exist.
            let real =
                |id: &&str| exists || !self.arguments.dry_run || parsed.source_id.as_deref() == Some(id);
            let written = report.row(parsed, status, id.filter(real), exists.then_some((by, "")), None);
            written.map_err(|error| report_failed(&error))?;
        }
        if exists && self.arguments.on_conflict == OnConflict::Fail {
            self.flush()?;
            self.note_totals();
            let what = format!("the account of row {} exists already", parsed.place);
            return Err(Failure::new(Exit::Rejected, "user_exists", what)
                .because(format!("{} has the same {by}", id.unwrap_or("another account")))
                .next("take the row out, or leave out --on-conflict fail"));
        }
        Ok(())
    }

    fn refused(&mut self, parsed: &Parsed, refusal: &RowRefusal) -> Result<(), Failure> {
        self.totals.refused += 1;
        if self.totals.refused <= SHOWN {
            let id = parsed.source_id.as_deref().map(|id| format!(" ({id})")).unwrap_or_default();
            output::note(&output::printable(&format!(
                "row {}{id}: {}: {}",
                parsed.place, refusal.field, refusal.why
            )));
        }
        let Some(report) = &mut self.report else { return Ok(()) };
        let why = (refusal.field.as_str(), refusal.why.as_str());
        let written = report.row(parsed, "refused", None, Some(why), Some(&refusal.next));
        written.map_err(|error| report_failed(&error))
    }

    fn flush(&mut self) -> Result<(), Failure> {
        self.report.as_mut().map_or(Ok(()), Report::flush).map_err(|error| report_failed(&error))
    }

    fn note_totals(&self) {
        let Totals { rows, created, existing, refused, .. } = &self.totals;
        output::note(&format!(
            "so far {rows} rows: {created} created, {existing} existed, {refused} refused"
        ));
    }

    fn finish(mut self, format: Format) -> Result<(), Failure> {
        self.flush()?;
        let Totals { rows, created, existing, refused, left_out } = &self.totals;
        let dry_run = self.arguments.dry_run;
        if self.arguments.json {
            let format = format.to_possible_value().map(|value| value.get_name().to_owned());
            let summary = json!({
                "format": format, "dry_run": dry_run, "rows": rows, "created": created, "existing": existing,
                "refused": refused, "left_out": left_out,
            });
            output::line(&summary.to_string())?;
        } else {
            let would = if dry_run { "would be " } else { "" };
            output::line(&format!(
                "{rows} rows: {created} {would}created, {existing} exist already, {refused} refused"
            ))?;
            for (name, count) in left_out {
                output::line(&output::printable(&format!("left out: {name} ({count})")))?;
            }
            if dry_run {
                output::note("nothing was changed");
            }
        }
        if *refused == 0 {
            return Ok(());
        }
        let what = format!("{refused} of {rows} rows were refused");
        let next = match &self.arguments.report {
            Some(path) => {
                format!(
                    "the reasons are in {}; correct the rows and run the command again with another --report",
                    path.display()
                )
            }
            None => "run it again with --report FILE to get all reasons".to_owned(),
        };
        Err(Failure::new(Exit::Rejected, "rows_refused", what).next(next))
    }
}

fn options(arguments: &UsersArguments) -> Result<Options, Failure> {
    let firebase = match &arguments.firebase_hash_config {
        None => None,
        Some(path) => {
            let text = std::fs::read_to_string(path).map_err(|error| not_readable(path, &error))?;
            Some(HashConfig::parse(&text).map_err(|name| {
                Failure::new(Exit::Usage, "hash_config_invalid", format!("{} is no hash_config", path.display()))
                    .because(format!("it has no {name}"))
                    .next("Firebase console, Authentication, Users, the three dots, Password hash parameters: copy all of it")
            })?)
        }
    };
    let auth0 = match &arguments.auth0_passwords {
        None => Auth0Passwords::default(),
        Some(path) => {
            let file = File::open(path).map_err(|error| not_readable(path, &error))?;
            Auth0Passwords::read(Box::new(BufReader::with_capacity(HEAD_BYTES, file))).map_err(|error| {
                Failure::new(Exit::Usage, "file_not_readable", format!("cannot read {}", path.display()))
                    .because(error.to_string())
                    .next("--auth0-passwords takes the export of password hashes, lines of JSON")
            })?
        }
    };
    Ok(Options {
        keep_ids: arguments.keep_ids,
        assume_verified: arguments.assume_verified,
        drop_unknown_passwords: arguments.drop_unknown_passwords,
        keep_unknown: arguments.keep_unknown,
        firebase,
        auth0,
    })
}

/// The file and its format.
fn open(arguments: &UsersArguments) -> Result<(Box<dyn BufRead + Send>, Format), Failure> {
    let path = arguments.file.as_path();
    let mut head = Vec::new();
    let read: std::io::Result<Box<dyn BufRead + Send>> = if path == Path::new("-") {
        stdin().lock().take(HEAD_BYTES as u64).read_to_end(&mut head).map(|_| boxed(&head, stdin()))
    } else {
        File::open(path).and_then(|mut file| {
            (&mut file).take(HEAD_BYTES as u64).read_to_end(&mut head)?;
            Ok(boxed(&head, file))
        })
    };
    let input = read.map_err(|error| not_readable(path, &error))?;
    let format = arguments.format.or_else(|| Format::detect(&head)).ok_or_else(|| {
        let names: Vec<String> = Format::value_variants()
            .iter()
            .filter_map(|format| Some(format.to_possible_value()?.get_name().to_owned()))
            .collect();
        Failure::new(Exit::Usage, "format_unknown", format!("{} is of no known format", path.display()))
            .because("its beginning is that of no export that this command reads")
            .next(format!("name the format: --format {}", names.join("|")))
    })?;
    Ok((input, format))
}

/// What was read already, and the rest.
fn boxed(head: &[u8], rest: impl std::io::Read + Send + 'static) -> Box<dyn BufRead + Send> {
    Box::new(BufReader::with_capacity(HEAD_BYTES, std::io::Cursor::new(head.to_vec()).chain(rest)))
}

/// The largest field of a row is named: the row is as large as that one.
fn too_large(body: &Value, bytes: usize) -> RowRefusal {
    let size = |(_, value): &(&String, &Value)| value.to_string().len();
    let largest = body["user"].as_object().and_then(|user| user.iter().max_by_key(size));
    let field = largest.map_or("user", |(name, _)| name.as_str());
    RowRefusal::new(
        field,
        format!("the row has {bytes} bytes; one of more than 1 MiB is not imported"),
        "shorten the field, or leave it out and set it afterwards",
    )
}

/// How to go on after a failure.
fn again(has_report: bool) -> &'static str {
    match has_report {
        true => "run the command again, with another --report: what was imported is skipped",
        false => "run the same command again: what was imported is skipped",
    }
}

fn not_readable(path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(Exit::Usage, "file_not_readable", format!("cannot read {}", path.display()))
        .because(error.to_string())
        .next("give a file that exists and that this user may read")
}

fn not_writable(path: &Path, error: &std::io::Error) -> Failure {
    let failure =
        Failure::new(Exit::Usage, "report_not_writable", format!("cannot write {}", path.display()));
    if error.kind() == std::io::ErrorKind::AlreadyExists {
        return failure
            .because("it exists already, and a report is not replaced")
            .next("give --report another name");
    }
    failure.because(error.to_string()).next("give --report a file in a folder that this user may write")
}

fn report_failed(error: &std::io::Error) -> Failure {
    Failure::new(Exit::Other, "report_not_writable", "cannot write the report")
        .because(error.to_string())
        .next(format!("make room, and {}", again(true)))
}

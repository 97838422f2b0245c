//! The process around one or many offices of a tier: arguments, signals, exit.

mod carrying;
mod keeping;
mod watching;

use std::{net::SocketAddr, path::PathBuf, process::ExitCode, time::Duration};

use clap::{Parser, Subcommand};
use desks::{
    config::OfficeConfig,
    founding,
    joining::{MEMBERSHIP, Membership},
    running::{self, Process, Service},
};
use event_store::{Backfilled, Readers};
use kernel::Refusal;
use messaging::{keys::Keys, nats::provision::HubPlace};
use tokio::sync::watch;
use web::client::Client;

/// The arguments of every service.
#[derive(Debug, Parser)]
#[command(version, about)]
pub struct Arguments {
    /// A JSON file: a list of offices.
    #[arg(long)]
    config: PathBuf,
    /// Where all offices of this process show their figures to Prometheus, on this
    /// machine only: `127.0.0.1:9464`.
    #[arg(long, global = true)]
    metrics: Option<SocketAddr>,
    /// A collector for traces (OTLP over plain HTTP), `http://127.0.0.1:4318`.
    #[arg(long, global = true, env = "OTEL_EXPORTER_OTLP_ENDPOINT", hide = true)]
    traces: Option<String>,
    #[command(subcommand)]
    what: Option<What>,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Serve the offices (the default).
    Serve,
    /// Print the hub's configuration, making its keys at the first time (city only).
    Provision {
        /// Where the hub shall listen.
        #[arg(long)]
        listen: String,
        /// The hub's store folder.
        #[arg(long)]
        store: String,
        /// The server's name; in a cluster each has its own.
        #[arg(long, default_value = "liandong-hub")]
        name: String,
        /// Where the servers of a cluster hear each other, `host:port`, this one's first.
        #[arg(long, value_delimiter = ',')]
        routes: Vec<String>,
    },
    /// Compare every view with a fresh fold; 1 if one differs. The service must not run.
    CheckViews,
    /// Fold the views again. The service must not run.
    Refold,
    /// Run one rule over everything that happened before it was there. The service must not run.
    Backfill {
        /// The rule's name.
        rule: String,
    },
    /// Carry the parcels of the link by files; the service may run.
    Link {
        /// Which way.
        #[arg(value_enum)]
        way: carrying::Way,
        /// The disc or the folder of the gate.
        medium: PathBuf,
        /// Out of the city: only what is for this office, by its id.
        #[arg(long, default_value = "")]
        office: String,
    },
    /// Back every office's store and papers up below a folder, while the service runs or stands.
    Backup {
        /// The folder; each office gets one of its own in it, which must not be there yet.
        folder: PathBuf,
    },
    /// Put stores and papers back where none are. The service must not run.
    Restore {
        /// The folder that `backup` was given.
        folder: PathBuf,
    },
    /// Copy every office's keys below a folder: keep it elsewhere than the backup.
    BackupKeys {
        /// The folder.
        folder: PathBuf,
    },
    /// Put one office's keys back into its empty key folder.
    RestoreKeys {
        /// The office's folder below the one that `backup-keys` was given.
        folder: PathBuf,
    },
    /// Make one office's vault again of its escrow: the officers type their shares, one a
    /// line on the standard input, and end with an empty line. The service must not run.
    RecoverVault {
        /// The office's folder below the one that `backup-keys` was given.
        folder: PathBuf,
    },
}

/// What went wrong, and with which exit code.
struct Failed(u8, String);

impl From<String> for Failed {
    fn from(why: String) -> Self {
        Self(3, why)
    }
}

/// Runs a service.
pub fn run(service: Service, arguments: Arguments) -> ExitCode {
    telemetry::start();
    allow_files();
    // What an office writes is its own: nobody else on the machine reads it.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return stopped(&Failed(3, error.to_string())),
    };
    let outcome = runtime.block_on(work(service, arguments));
    runtime.shutdown_timeout(Duration::from_secs(2));
    outcome.map_or_else(|failed| stopped(&failed), |()| ExitCode::SUCCESS)
}

fn stopped(Failed(code, why): &Failed) -> ExitCode {
    tracing::error!("{why}");
    ExitCode::from(*code)
}

fn read(path: &PathBuf) -> Result<Vec<OfficeConfig>, Failed> {
    let usage = |why: String| Failed(2, format!("{}: {why}", path.display()));
    let bytes = std::fs::read(path).map_err(|error| usage(error.to_string()))?;
    serde_json::from_slice(&bytes).map_err(|error| usage(error.to_string()))
}

async fn work(service: Service, arguments: Arguments) -> Result<(), Failed> {
    let configs = read(&arguments.config)?;
    match arguments.what.unwrap_or(What::Serve) {
        What::Serve => {
            let around = watching::Around { metrics: arguments.metrics, traces: arguments.traces };
            serve(service, configs, around).await
        }
        What::Provision { listen, store, name, routes } => {
            let first =
                configs.first().ok_or_else(|| Failed(2, "no office is configured".into()))?;
            let (name, listen, store, routes) = (&*name, &*listen, &*store, &*routes);
            let place = HubPlace { name, listen, store, routes };
            let text = founding::provision_one(first, &place)?;
            write_out(&text);
            Ok(())
        }
        What::CheckViews => each_store(service, configs, &Upkeep::Check).await,
        What::Refold => each_store(service, configs, &Upkeep::Refold).await,
        What::Backfill { rule } => each_store(service, configs, &Upkeep::Backfill(rule)).await,
        What::Link { way, medium, office } => {
            configs.iter().try_for_each(|config| carrying::carry(config, way, &medium, &office))
        }
        What::Backup { folder } => keeping::backup(&configs, &folder).await,
        What::Restore { folder } => keeping::restore(&configs, &folder).await,
        What::BackupKeys { folder } => keeping::backup_keys(&configs, &folder),
        What::RestoreKeys { folder } => keeping::restore_keys(&configs, &folder),
        What::RecoverVault { folder } => keeping::recover_vault(&configs, &folder),
    }
}

fn write_out(text: &str) {
    use std::io::Write;
    let _ = std::io::stdout().write_all(text.as_bytes());
}

fn process() -> (Process, watch::Sender<bool>) {
    let (stop, stopping) = watch::channel(false);
    (Process { readers: Readers::new(16), stopping, client: Client::default() }, stop)
}

async fn serve(
    service: Service,
    configs: Vec<OfficeConfig>,
    around: watching::Around,
) -> Result<(), Failed> {
    let (process, stop) = process();
    around.start(service, &process).await?;
    end_with_parent();
    let mut offices = tokio::task::JoinSet::new();
    for config in configs {
        offices.spawn(running::run(service, config, process.clone()));
    }
    tokio::select! {
        () = told_to_stop() => {}
        Some(ended) = offices.join_next() => {
            // An office that can't run takes the process with it: the supervisor
            // starts it again, and the reason stands in the log.
            let _ = stop.send(true);
            return Err(match ended {
                Ok(Ok(())) => Failed(3, "an office ended by itself".into()),
                Ok(Err(why)) => why.into(),
                Err(error) => error.to_string().into(),
            });
        }
    }
    let _ = stop.send(true);
    let drained = async { while offices.join_next().await.is_some() {} };
    let _ = tokio::time::timeout(Duration::from_secs(8), drained).await;
    Ok(())
}

async fn told_to_stop() {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else { return };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}

/// Takes as many open files as the system lets it: connections, stores, papers.
fn allow_files() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut files = getrlimit(Resource::Nofile);
    files.current = files.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, files) {
        tracing::debug!(%error, "the limit of open files stays");
    }
}

/// Asks the kernel for a SIGTERM when the supervisor dies.
fn end_with_parent() {
    #[cfg(target_os = "linux")]
    let _ = rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::TERM));
}

/// What is done to each store; every view is compared with a fresh fold after it.
enum Upkeep {
    Check,
    Refold,
    Backfill(String),
}

async fn each_store(
    service: Service,
    configs: Vec<OfficeConfig>,
    upkeep: &Upkeep,
) -> Result<(), Failed> {
    let (process, _stop) = process();
    for config in configs {
        let keys = Keys::at(&config.keys).map_err(|error| error.to_string())?;
        let membership: Option<Membership> = keys.read(MEMBERSHIP).map_err(|e| e.to_string())?;
        let Some(membership) = membership else { continue };
        let office = running::open_office(service, &config, &keys, &membership, &process).await?;
        let name = &membership.seat.office;
        let text = |refusal: Refusal| refusal.to_string();
        office.settled().await.map_err(text)?;
        match upkeep {
            Upkeep::Check => {}
            Upkeep::Refold => {
                office.refold().await.map_err(text)?;
                write_out(&format!("{name}: folded again\n"));
            }
            Upkeep::Backfill(rule) => {
                let Backfilled { seen, issued, recorded, refused } =
                    office.backfill(rule).await.map_err(text)?;
                write_out(&format!(
                    "{name}: {rule} saw {seen} facts and issued {issued} commands; {recorded} entries came of them, {refused} were refused\n"
                ));
            }
        }
        match office.check_views().await.map_err(|error| error.to_string())? {
            None => write_out(&format!("{name}: every view agrees with a fresh fold\n")),
            Some(difference) => {
                let why = format!("{name}: {} differs at {}", difference.view, difference.key);
                return Err(Failed(1, why));
            }
        }
    }
    Ok(())
}

//! The process around one or many offices of a tier: arguments, signals, exit.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use clap::{Parser, Subcommand};
use desks::{
    founding,
    joining::{MEMBERSHIP, Membership, OfficeConfig},
    running::{self, Process, Service},
};
use event_store::{Backfilled, Readers};
use kernel::Refusal;
use messaging::{files::Tray, keys::Keys};
use tokio::sync::watch;
use web::client::Client;

/// The arguments of every service.
#[derive(Debug, Parser)]
#[command(version, about)]
pub struct Arguments {
    /// A JSON file: a list of offices.
    #[arg(long)]
    config: PathBuf,
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
        way: Carry,
        /// The disc or the folder of the gate.
        medium: PathBuf,
    },
}

/// Which way parcels are carried.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Carry {
    /// From the office to the medium.
    Out,
    /// From the medium to the office.
    In,
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
        What::Serve => serve(service, configs).await,
        What::Provision { listen, store } => {
            let first =
                configs.first().ok_or_else(|| Failed(2, "no office is configured".into()))?;
            let text = founding::provision(first, &listen, &store)?;
            write_out(&text);
            Ok(())
        }
        What::CheckViews => each_store(service, configs, &Upkeep::Check).await,
        What::Refold => each_store(service, configs, &Upkeep::Refold).await,
        What::Backfill { rule } => each_store(service, configs, &Upkeep::Backfill(rule)).await,
        What::Link { way, medium } => {
            configs.iter().try_for_each(|config| carry(config, way, &medium))
        }
    }
}

fn carry(config: &OfficeConfig, way: Carry, medium: &Path) -> Result<(), Failed> {
    let failed = |error: std::io::Error| Failed(3, format!("{}: {error}", medium.display()));
    let Some(folder) = &config.files else {
        return Err(Failed(2, "this office is not configured for files".to_owned()));
    };
    let tray = Tray::at(folder).map_err(failed)?;
    let carried = match way {
        Carry::Out => tray.carry_out(medium),
        Carry::In => {
            let keys = Keys::at(&config.keys).map_err(failed)?;
            let membership: Option<Membership> = keys.read(MEMBERSHIP).map_err(failed)?;
            let office = membership.map(|known| known.seat.office.to_string());
            tray.carry_in(medium, &office.unwrap_or_default())
        }
    };
    for name in carried.map_err(failed)? {
        write_out(&format!("{name}\n"));
    }
    Ok(())
}

fn write_out(text: &str) {
    use std::io::Write;
    let _ = std::io::stdout().write_all(text.as_bytes());
}

fn process() -> (Process, watch::Sender<bool>) {
    let (stop, stopping) = watch::channel(false);
    (Process { readers: Readers::new(16), stopping, client: Client::default() }, stop)
}

async fn serve(service: Service, configs: Vec<OfficeConfig>) -> Result<(), Failed> {
    let (process, stop) = process();
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

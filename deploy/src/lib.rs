//! `deploy/up`: a whole city on one machine, and the commands around it.

pub mod api;
mod children;
mod city;
mod clues;
mod divisions;
mod files;
mod output;
mod people;
mod plan;
mod ports;
pub mod round;
mod story;
mod term;
pub mod token;

use std::{path::PathBuf, process::ExitCode};

use clap::{Args, Parser, Subcommand};

/// Starts a city of inspection offices; see README.md.
#[derive(Debug, Parser)]
#[command(name = "deploy/up", version)]
struct Arguments {
    #[command(subcommand)]
    what: Option<What>,
    #[command(flatten)]
    up: Up,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Print a token of a demo city's person who holds a role.
    Token {
        /// The data folder of a started city.
        #[arg(long, default_value = ".data")]
        data: PathBuf,
        /// An office by id, code or name.
        office: String,
        /// A role, `D_PLAN`.
        role: String,
    },
    /// Run a program that ends with this one's parent.
    #[command(hide = true)]
    Child {
        /// The program.
        program: PathBuf,
        /// Its arguments.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
}

/// What to start.
#[derive(Clone, Debug, Args)]
pub(crate) struct Up {
    /// The data folder; a second start keeps it.
    #[arg(long, default_value = ".data")]
    data: PathBuf,
    /// A real city with nothing in it but its three administrators.
    #[arg(long, conflicts_with = "term")]
    empty: bool,
    /// Play the term of 商洛 through the offices' HTTP interfaces.
    #[arg(long)]
    term: bool,
    /// Every office of the divisions in a CSV, a process a tier, and nothing loaded.
    #[arg(long, conflicts_with_all = ["empty", "term"], hide = true)]
    divisions: Option<PathBuf>,
    /// The part of the term to play, `1/20`.
    #[arg(long, default_value = "1/1", requires = "term", value_parser = plan::Scale::parse)]
    scale: plan::Scale,
    /// Stop when everything is loaded and compared.
    #[arg(long)]
    once: bool,
    /// Print the results view as JSON.
    #[arg(long)]
    json: bool,
    /// The key of a witness from outside whose word on every log counts; once for each.
    #[arg(long, value_name = "VERIFIER KEY")]
    outside_witness: Vec<String>,
    /// The folder of the services' programs.
    #[arg(long, env = "LIANDONG_BIN", hide = true)]
    bin: Option<PathBuf>,
    /// The nats-server program.
    #[arg(long, env = "LIANDONG_NATS_SERVER", default_value = "nats-server", hide = true)]
    nats_server: PathBuf,
}

impl Up {
    fn mode(&self) -> plan::Mode {
        match (self.empty, self.term, &self.divisions) {
            (true, _, _) => plan::Mode::Empty,
            (_, true, _) => plan::Mode::Term(self.scale),
            (_, _, Some(_)) => plan::Mode::Bare,
            _ => plan::Mode::Demo,
        }
    }
}

/// Runs the command line.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed(2, &error.to_string()),
    };
    let outcome = match arguments.what {
        Some(What::Token { data, office, role }) => {
            token::print(&data, &office, &role).map(|()| ExitCode::SUCCESS)
        }
        Some(What::Child { program, arguments }) => {
            Err(children::become_child(&program, &arguments))
        }
        None => runtime.block_on(city::up(arguments.up)),
    };
    outcome.unwrap_or_else(|why| failed(2, &why))
}

fn failed(code: u8, why: &str) -> ExitCode {
    output::say(&format!("liandong: {why}"));
    ExitCode::from(code)
}

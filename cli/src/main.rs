//! `plimsoll`: runs the pipeline, or one arrow of it, on files. Each command is a file of its name.

mod args;
mod attempt;
mod exit;
mod init;
mod input;
mod judge;
mod out;
mod profiles;
mod prometheus;
mod quick;
mod render;
mod run;
mod ui;
mod validate;
mod values;

use std::process::ExitCode;

use clap::Parser;

use crate::args::{Cli, Command};
use crate::exit::Exit;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = match &cli.command {
        Command::Run(args) => run::run(args),
        Command::Try(args) => attempt::attempt(args),
        Command::Init(args) => init::init(args),
        Command::Judge(args) => judge::judge(args),
        Command::Validate(args) => validate::validate(args),
        Command::Render(args) => render::render(args),
        Command::Profiles(args) => profiles::profiles(args),
    };
    match done {
        Ok(exit) => exit.into(),
        Err(error) => {
            out::say(&format_args!("{error:#}"));
            Exit::Refused.into()
        }
    }
}

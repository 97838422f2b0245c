//! `deploy/up`.

fn main() -> std::process::ExitCode {
    deploy::main()
}

//! The program `postroom`: parses its arguments and calls [`postroom::cli`].

fn main() -> std::process::ExitCode {
    postroom::cli::main(std::env::args_os())
}

//! `portcullis run`: the firewall itself, until it is told to stop.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::cli::log;
use crate::config::{Config, RunArgs};
use crate::metrics::Metrics;
use crate::policy::{self, PolicySet};
use crate::selftest;
use crate::server::{self, Phase, Server};
use crate::sql;

/// Runs the firewall. Exits with 0 after SIGTERM or SIGINT, with 1 where it can't start.
pub fn run(args: RunArgs) -> ExitCode {
    match start(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("portcullis run: {problem}");
            ExitCode::FAILURE
        }
    }
}

/// How many sessions may wait for room to read a long statement before the others stand still.
const WAITING: usize = 16_384;

/// Everything from the settings to the end of the last session.
fn start(args: &RunArgs) -> Result<(), String> {
    let config = Config::load(args, &|name| std::env::var(name).ok()).map_err(|error| error.to_string())?;
    log::start(config.log_format);
    let policies = policy::load(&config.policies)?;
    let metrics = Arc::new(server::metrics());
    // Workers analyse statements, and a deep one needs a deep stack. Only what is used is ever touched.
    let runtime = Builder::new_multi_thread()
        .worker_threads(config.workers.get())
        .thread_name("portcullis")
        .thread_stack_size(sql::STACK)
        // A session that waits for room to read a long statement keeps a thread; without a free one everybody would wait.
        .max_blocking_threads(WAITING)
        .enable_all()
        .build()
        .map_err(|error| format!("can't start the worker threads: {error}"))?;
    let selftest = config.selftest;
    let told = Arc::clone(&metrics);
    let outcome = runtime.block_on(async {
        let shutdown = signals().map_err(|error| format!("can't listen for signals: {error}"))?;
        let server = Server::bind(config, policies, metrics).await.map_err(|error| error.to_string())?;
        let attack = move |policies| {
            if selftest {
                judge_attacks(policies, Arc::clone(&told));
            }
        };
        attack(server.reload().current());
        let hangup = signal(SignalKind::hangup()).map_err(|error| format!("can't listen for signals: {error}"))?;
        tokio::spawn(server.reload().follow(hangup, attack));
        let sockets = server.sockets();
        let admin = server.admin_address().map_err(|error| error.to_string())?;
        tracing::info!(version = env!("CARGO_PKG_VERSION"), address = sockets, %admin, "listening");
        server.run(shutdown).await.map_err(|error| error.to_string())
    });
    // A statement that is being analysed is not waited for.
    runtime.shutdown_timeout(Duration::from_secs(1));
    outcome
}

/// The first SIGTERM or SIGINT drains, the second closes.
fn signals() -> std::io::Result<watch::Receiver<Phase>> {
    let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let (tell, told) = watch::channel(Phase::Running);
    tokio::spawn(async move {
        for phase in [Phase::Draining, Phase::Closing] {
            let name = tokio::select! {
                _ = term.recv() => "SIGTERM",
                _ = int.recv() => "SIGINT",
            };
            tracing::info!(signal = name, "told to stop");
            tell.send_replace(phase);
        }
        // Kept, so that who waits for a phase that never comes isn't told that nobody is left to tell.
        tell.closed().await;
    });
    Ok(told)
}

/// Judges the catalogue of attacks in the background: on a thread whose stack any statement fits in, and without a word in the
/// log about what is refused, for nobody tried it.
fn judge_attacks(policies: Arc<PolicySet>, metrics: Arc<Metrics>) {
    let judge = move || {
        let quiet = tracing::subscriber::NoSubscriber::default();
        let scratch = Arc::new(server::metrics());
        let results = tracing::subscriber::with_default(quiet, || selftest::offline(&policies, &scratch, &[]));
        match results {
            Ok(results) => {
                let open = selftest::open(&results);
                let counts: Vec<(String, usize)> =
                    open.iter().map(|(policy, codes)| (policy.to_string(), codes.len())).collect();
                metrics.selftest(&counts);
                for (policy, codes) in open.iter().filter(|(_, codes)| !codes.is_empty()) {
                    let attacks = codes.join(" ");
                    tracing::warn!(%policy, attacks, "not stopped: `portcullis selftest` shows what would pass");
                }
            }
            Err(error) => tracing::error!("the self-test failed: {error}"),
        }
    };
    let thread = std::thread::Builder::new().name("selftest".to_owned()).stack_size(sql::STACK);
    if let Err(error) = thread.spawn(judge) {
        tracing::error!("no thread for the self-test: {error}");
    }
}

//! A wire between the firewall and the server that keeps every byte of the way to the server.
#![allow(clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// Listens on a free port of 127.0.0.1 and passes everything on to another one.
pub struct Recorder {
    port: u16,
    /// What each connection sent, in the order in which they came.
    sent: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Recorder {
    pub fn start(server: u16) -> Recorder {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let sent: Arc<Mutex<Vec<Vec<u8>>>> = Arc::default();
        let record = Arc::clone(&sent);
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let Ok(client) = client else { return };
                let Ok(server) = TcpStream::connect(("127.0.0.1", server)) else { return };
                let place = {
                    let mut record = record.lock().unwrap();
                    record.push(Vec::new());
                    record.len() - 1
                };
                let (from, to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
                let record = Arc::clone(&record);
                std::thread::spawn(move || pass(from, to, |bytes| record.lock().unwrap()[place].extend(bytes)));
                std::thread::spawn(move || pass(server, client, |_| {}));
            }
        });
        Recorder { port, sent }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// What the connections since that many sent; those that sent no startup packet (probes) are left out.
    pub fn since(&self, connections: usize) -> Vec<Vec<u8>> {
        let sent = self.sent.lock().unwrap();
        sent[connections..].iter().filter(|bytes| !bytes.is_empty()).cloned().collect()
    }

    pub fn connections(&self) -> usize {
        self.sent.lock().unwrap().len()
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream, mut told: impl FnMut(&[u8])) {
    let mut chunk = vec![0; 1 << 16];
    while let Ok(n) = from.read(&mut chunk) {
        if n == 0 {
            break;
        }
        told(&chunk[..n]);
        if to.write_all(&chunk[..n]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
    let _ = from.shutdown(Shutdown::Read);
}

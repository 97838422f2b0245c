//! A collector of traces: takes what is posted and says yes.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    sync::mpsc,
};

use serde_json::Value;

/// Its address, and the bodies as they come.
pub fn collector() -> (String, mpsc::Receiver<Value>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let (out, bodies) = mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (stream, out) = (stream.unwrap(), out.clone());
            std::thread::spawn(move || take(stream, &out));
        }
    });
    (address, bodies)
}

fn take(mut stream: TcpStream, out: &mpsc::Sender<Value>) {
    let mut bytes = Vec::new();
    let mut part = vec![0; 65536];
    while let Ok(read @ 1..) = stream.read(&mut part) {
        bytes.extend_from_slice(&part[..read]);
        let Some(end) = bytes.windows(4).position(|w| w == b"\r\n\r\n") else { continue };
        let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
        assert!(head.starts_with("post /v1/traces "), "{head}");
        let length = head.lines().find_map(|l| l.strip_prefix("content-length: "));
        let whole = end + 4 + length.unwrap().parse::<usize>().unwrap();
        if bytes.len() >= whole {
            let body = serde_json::from_slice(&bytes[end + 4..whole]).unwrap();
            bytes.drain(..whole);
            let _ = out.send(body);
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").unwrap();
        }
    }
}

//! What the server asks of others, as its configuration says: lists of targets, tokens, proxies.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use crate::harness::{Bellwether, eventually};
use crate::remote_write_send::metric;

/// Answers by the first line of a request, as its script says; keeps what it got.
struct Small {
    port: u16,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Small {
    fn start(answer: impl Fn(&str) -> (u16, String) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("bound").port();
        let (seen, answer) = (Arc::new(Mutex::new(Vec::new())), Arc::new(answer));
        let keep = Arc::clone(&seen);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (keep, answer) = (Arc::clone(&keep), Arc::clone(&answer));
                thread::spawn(move || serve(stream, &keep, &*answer));
            }
        });
        Self { port, seen }
    }

    fn seen(&self) -> Vec<String> {
        self.seen.lock().expect("no panic").clone()
    }
}

fn serve(stream: TcpStream, seen: &Mutex<Vec<String>>, answer: &dyn Fn(&str) -> (u16, String)) {
    let mut writer = stream.try_clone().expect("a handle");
    let mut reader = BufReader::new(stream);
    loop {
        let (mut head, mut length) = (String::new(), 0);
        loop {
            let before = head.len();
            if reader.read_line(&mut head).unwrap_or(0) == 0 {
                return;
            }
            let line = head[before..].trim_end().to_lowercase();
            if let Some(n) = line.strip_prefix("content-length: ") {
                length = n.parse().expect("a number");
            }
            if line.is_empty() {
                break;
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).expect("the body");
        seen.lock().expect("no panic").push(head.clone() + &String::from_utf8_lossy(&body));
        let (status, text) = answer(&head);
        let kind = if text.starts_with(['[', '{']) { "application/json" } else { "text/plain" };
        let head =
            format!("HTTP/1.1 {status} x\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n", text.len());
        if writer.write_all((head + &text).as_bytes()).is_err() {
            return;
        }
    }
}

#[test]
fn targets_of_a_server_are_scraped_through_a_proxy_with_a_token() {
    let token_works = Arc::new(Mutex::new(false));
    let works = Arc::clone(&token_works);
    let tokens = Small::start(move |_| match *works.lock().expect("no panic") {
        true => (200, r#"{"access_token":"the-token","expires_in":3600}"#.to_owned()),
        false => (500, "no".to_owned()),
    });
    // Neither host is known here: what is asked of them only the proxy can answer.
    let list =
        Arc::new(Mutex::new((200, r#"[{"targets":["one.test:80"],"labels":{"env":"x"}}]"#.to_owned())));
    let lists = Arc::clone(&list);
    let proxy = Small::start(move |head| match head.split(' ').nth(1) {
        Some("http://sd.test/list") => lists.lock().expect("no panic").clone(),
        Some("http://one.test:80/metrics" | "http://two.test:80/metrics") => (200, "m 7\n".to_owned()),
        _ => (404, String::new()),
    });
    let configuration = format!(
        "global: {{scrape_interval: 200ms, scrape_timeout: 200ms}}\n\
         scrape_configs:\n\
         - job_name: far\n  \
           proxy_url: http://me:hunter2@127.0.0.1:{0}\n  \
           http_headers: {{X-Key: {{secrets: [hunter2]}}}}\n  \
           oauth2: {{client_id: id, client_secret: hunter2, token_url: 'http://127.0.0.1:{1}/token'}}\n  \
           http_sd_configs:\n  \
           - {{url: 'http://sd.test/list', refresh_interval: 250ms, proxy_url: 'http://127.0.0.1:{0}'}}\n",
        proxy.port, tokens.port
    );
    let b = Bellwether::start(Some(&configuration));
    let target = || b.data("/api/v1/targets?state=active")["activeTargets"][0].clone();
    let error = eventually("the scrape says what is wrong with the token", || {
        let text = target()["lastError"].as_str().unwrap_or_default().to_owned();
        (!text.is_empty()).then_some(text)
    });
    assert!(
        error.contains(&format!("cannot get a token from http://127.0.0.1:{}/token: ", tokens.port)),
        "{error}"
    );
    assert_eq!(target()["labels"]["env"], "x");
    *token_works.lock().expect("no panic") = true;
    eventually("it recovers", || (b.value("m{job=\"far\",env=\"x\"}") == Some(7.0)).then_some(()));
    let scrape = proxy.seen().into_iter().rev().find(|s| s.contains("one.test")).expect("a scrape");
    let scrape = scrape.to_lowercase();
    for header in [
        "authorization: bearer the-token\r\n",
        "x-key: hunter2\r\n",
        "proxy-authorization: basic bwu6ahvudgvymg==\r\n",
    ] {
        assert!(scrape.contains(header), "{scrape}");
    }
    let asked = proxy.seen().into_iter().find(|s| s.contains("sd.test")).expect("a list was asked for");
    assert!(asked.to_lowercase().contains("x-prometheus-refresh-interval-seconds: 0.25\r\n"), "{asked}");

    let failures = || metric(&b, "prometheus_sd_http_failures_total");
    *list.lock().expect("no panic") = (500, String::new());
    eventually("a failure is counted", || (failures() > 0.0).then_some(()));
    assert_eq!(target()["scrapeUrl"], "http://one.test:80/metrics", "the last good list stays");
    *list.lock().expect("no panic") = (200, r#"[{"targets":["two.test:80"]}]"#.to_owned());
    eventually("the list is followed", || {
        (target()["scrapeUrl"] == "http://two.test:80/metrics").then_some(())
    });

    let (_, shown) = b.get_text("/api/v1/status/config");
    let (_, targets) = b.get_text("/api/v1/targets");
    assert!(shown.contains("<secret>") && !(shown + &targets).contains("hunter2"));
}

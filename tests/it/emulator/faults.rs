//! Every kind of fault, as a client meets it, and what it leaves behind.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, SystemTime};

use serde_json::json;
use startguard::emulator::{
    CutBy, Effect, Emulator, FaultRule, JobConfig, LostWhen, OperationKind, RetryAfter, Timing,
};

use super::{Bench, JOB, SP, job_path, json};

/// A paused job that turns Active at once, and a fault on one operation, played once.
async fn once(operation: OperationKind, effect: Effect) -> Bench {
    let timing = Timing { start_delay: Duration::ZERO, ..Timing::default() };
    let builder = Emulator::builder().job(SP, JobConfig::new(JOB, "Paused")).timing(timing);
    Bench::of(builder.fault(FaultRule::on(operation, effect).times(1))).await
}

#[tokio::test]
async fn a_status_comes_with_or_without_retry_after() {
    let raw = Effect::Status {
        status: 429,
        retry_after: RetryAfter::Raw("soon".to_owned()),
        code: None,
        message: None,
        body: None,
        applied: false,
    };
    for (effect, status, retry_after) in [
        (Effect::status(503), 503, None),
        (Effect::status_retry_after(429, 12), 429, Some("12")),
        (raw, 429, Some("soon")),
    ] {
        let bench = once(OperationKind::GetJob, effect).await;
        let answer = bench.read().await.unwrap();
        assert_eq!(answer.status(), status);
        assert_eq!(
            answer.headers().get("retry-after").map(|value| value.to_str().unwrap()),
            retry_after
        );
        assert!(json(answer).await["error"]["innerError"]["request-id"].is_string());
        assert_eq!(bench.read().await.unwrap().status(), 200);
    }
}

#[tokio::test]
async fn retry_after_can_be_a_date() {
    let effect = Effect::Status {
        status: 503,
        retry_after: RetryAfter::DateIn(120),
        code: None,
        message: None,
        body: None,
        applied: false,
    };
    let bench = once(OperationKind::GetJob, effect).await;
    let answer = bench.read().await.unwrap();
    let date = |name: &str| -> SystemTime {
        httpdate::parse_http_date(answer.headers()[name].to_str().unwrap()).unwrap()
    };
    let ahead = date("retry-after").duration_since(date("date")).unwrap();
    assert!((119..=121).contains(&ahead.as_secs()), "{ahead:?}");
}

#[tokio::test]
async fn a_status_can_carry_the_error_of_a_missing_permission() {
    let effect = Effect::Status {
        status: 401,
        retry_after: RetryAfter::Absent,
        code: Some("UnknownError".to_owned()),
        message: Some(String::new()),
        body: None,
        applied: false,
    };
    let bench = once(OperationKind::GetJob, effect).await;
    let error = json(bench.read().await.unwrap()).await["error"].clone();
    assert_eq!((&error["code"], &error["message"]), (&json!("UnknownError"), &json!("")));
}

#[tokio::test]
async fn a_refused_start_has_no_effect_and_a_504_may_have_had_one() {
    for (applied, code) in [(false, "Paused"), (true, "Active")] {
        let effect = Effect::Status {
            status: 504,
            retry_after: RetryAfter::Absent,
            code: None,
            message: None,
            body: Some("gateway".to_owned()),
            applied,
        };
        let bench = once(OperationKind::Start, effect).await;
        let answer = bench.start().await.unwrap();
        assert_eq!(answer.status(), 504);
        assert_eq!(answer.text().await.unwrap(), "gateway");
        assert_eq!(bench.code().await, code);
        assert_eq!(bench.emulator.job(SP, JOB).starts_effective, u64::from(applied));
    }
}

#[tokio::test]
async fn a_lost_answer_leaves_the_effect_or_not() {
    for by in [CutBy::Close, CutBy::Reset] {
        for (when, code) in [(LostWhen::Before, "Paused"), (LostWhen::After, "Active")] {
            let bench = once(OperationKind::Start, Effect::Lost { when, by }).await;
            let error = bench.start().await.unwrap_err();
            assert!(!error.is_timeout() && !error.is_connect(), "{error:?}");
            assert_eq!(bench.code().await, code, "{when:?} {by:?}");
            assert_eq!(bench.emulator.violations(), 0);
            let log = bench.emulator.requests();
            assert_eq!((log[0].status, log[0].fault.as_deref()), (None, Some("lost")));
        }
    }
}

/// What comes back on the wire for a raw request, and how the connection ends.
fn raw(bench: &Bench, request: &str) -> (Vec<u8>, Option<std::io::ErrorKind>) {
    let mut stream = TcpStream::connect(bench.emulator.address()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    let ended = stream.read_to_end(&mut answer);
    (answer, ended.err().map(|error| error.kind()))
}

fn raw_start() -> String {
    let path = job_path("/start");
    format!(
        "POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer t\r\nContent-Length: 0\r\n\r\n"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_is_not_one_byte_long() {
    let bench = once(OperationKind::Start, Effect::lost_after()).await;
    assert_eq!(raw(&bench, &raw_start()), (Vec::new(), None));

    let reset = Effect::Lost { when: LostWhen::Before, by: CutBy::Reset };
    let bench = once(OperationKind::Start, reset).await;
    assert_eq!(raw(&bench, &raw_start()), (Vec::new(), Some(std::io::ErrorKind::ConnectionReset)));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_lost_on_a_reused_connection_leaves_the_earlier_one_whole() {
    let bench = once(OperationKind::Start, Effect::lost_after()).await;
    let read =
        format!("GET {} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer t\r\n\r\n", job_path(""));
    let (answer, _) = raw(&bench, &format!("{read}{}{}", raw_start(), raw_start()));
    let answer = String::from_utf8(answer).unwrap();
    assert_eq!(answer.matches("HTTP/1.1").count(), 1, "{answer}");
    assert!(answer.starts_with("HTTP/1.1 200"));
    // What was sent behind the lost request never arrived.
    assert_eq!(bench.emulator.job(SP, JOB).starts, 1);
}

#[tokio::test]
async fn a_slow_answer_is_slow_before_or_after_its_effect() {
    let hour = Duration::from_secs(3600);
    for (rule, effective, code) in [
        (FaultRule::on(OperationKind::Start, Effect::None).delayed_before(hour), 0, "Paused"),
        (FaultRule::on(OperationKind::Start, Effect::None).delayed_after(hour), 1, "Active"),
    ] {
        let timing = Timing { start_delay: Duration::ZERO, ..Timing::default() };
        let builder = Emulator::builder().job(SP, JobConfig::new(JOB, "Paused")).timing(timing);
        let bench = Bench::of(builder.fault(rule)).await;
        let start = tokio::spawn(bench.post(&job_path("/start")).send());
        bench
            .until_counted(|job| job.starts_in_flight == 1 && job.starts_effective == effective)
            .await;
        assert_eq!(bench.true_code(), code);
        assert!(!start.is_finished());
        start.abort();
    }
}

#[tokio::test]
async fn a_trickled_body_arrives_byte_by_byte() {
    let bench = once(OperationKind::GetJob, Effect::Trickle { interval: Duration::ZERO }).await;
    let mut answer = bench.read().await.unwrap();
    let mut whole = Vec::new();
    while let Some(piece) = answer.chunk().await.unwrap() {
        whole.extend_from_slice(&piece);
    }
    let job: serde_json::Value = serde_json::from_slice(&whole).unwrap();
    assert_eq!(job["id"], JOB);

    let bench =
        once(OperationKind::GetJob, Effect::Trickle { interval: Duration::from_secs(3600) }).await;
    let answer = bench.get(&job_path("")).timeout(Duration::from_millis(300)).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    assert!(answer.bytes().await.unwrap_err().is_timeout());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_truncated_body_ends_half_way() {
    let bench = once(OperationKind::GetJob, Effect::Truncated).await;
    assert!(bench.read().await.unwrap().bytes().await.is_err());

    let bench = once(OperationKind::GetJob, Effect::Truncated).await;
    let read =
        format!("GET {} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer t\r\n\r\n", job_path(""));
    let (answer, _) = raw(&bench, &read);
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let promised = head
        .lines()
        .find_map(|line| line.to_lowercase().strip_prefix("content-length: ").map(str::to_owned));
    let promised: usize = promised.unwrap().parse().unwrap();
    assert!(!body.is_empty() && body.len() < promised, "{} of {promised}", body.len());
}

#[tokio::test]
async fn malformed_and_html_bodies_are_whole_and_no_json() {
    let bench = once(OperationKind::GetJob, Effect::Malformed).await;
    let text = bench.read().await.unwrap().text().await.unwrap();
    assert!(text.contains(JOB) && serde_json::from_str::<serde_json::Value>(&text).is_err());

    let bench = once(OperationKind::GetJob, Effect::Html { status: 200 }).await;
    let answer = bench.read().await.unwrap();
    assert_eq!(answer.headers()["content-type"], "text/html; charset=utf-8");
    assert!(answer.text().await.unwrap().starts_with("<!DOCTYPE html>"));

    let bench = once(OperationKind::Start, Effect::Malformed).await;
    let answer = bench.start().await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.text().await.unwrap(), "{,");
    assert_eq!(bench.code().await, "Active");
}

#[tokio::test]
async fn a_huge_body_has_the_size_it_was_told() {
    let bytes = 5 * 1024 * 1024 + 17;
    let bench = once(OperationKind::GetJob, Effect::Huge { bytes }).await;
    let mut answer = bench.read().await.unwrap();
    let mut size = 0;
    while let Some(piece) = answer.chunk().await.unwrap() {
        size += u64::try_from(piece.len()).unwrap();
    }
    assert_eq!(size, bytes);
}

#[tokio::test]
async fn a_status_object_can_be_null_missing_or_rewritten() {
    let bench = once(OperationKind::GetJob, Effect::NullStatus).await;
    assert!(json(bench.read().await.unwrap()).await["status"].is_null());

    let bench = once(OperationKind::GetJob, Effect::MissingStatus).await;
    assert!(json(bench.read().await.unwrap()).await.get("status").is_none());

    let merge = json!({"status": {"code": "Zombie"}});
    let bench = once(OperationKind::ListJobs, Effect::Rewrite { merge }).await;
    let path = format!("/v1.0/servicePrincipals/{SP}/synchronization/jobs");
    let list = json(bench.get(&path).send().await.unwrap()).await;
    assert_eq!(list["value"][0]["status"]["code"], "Zombie");
    assert_eq!(list["value"][0]["id"], JOB);
}

#[tokio::test]
async fn a_redirect_starts_nothing() {
    let location = "https://elsewhere.example/start".to_owned();
    let bench =
        once(OperationKind::Start, Effect::Redirect { status: 307, location: location.clone() })
            .await;
    let answer = bench.start().await.unwrap();
    assert_eq!(
        (answer.status().as_u16(), answer.headers()["location"].to_str().unwrap()),
        (307, location.as_str())
    );
    assert_eq!(bench.code().await, "Paused");
}

#[tokio::test]
async fn a_next_link_can_point_elsewhere() {
    let other = Bench::with("Paused").await;
    let url = other.url("/v1.0/servicePrincipals");
    let bench =
        once(OperationKind::ListServicePrincipals, Effect::NextLink { url: url.clone() }).await;
    let page = json(bench.get("/v1.0/servicePrincipals").send().await.unwrap()).await;
    assert_eq!(page["@odata.nextLink"], url.as_str());
    assert!(other.emulator.requests().is_empty());
}

#[tokio::test]
async fn a_bucket_answers_429_when_it_is_empty() {
    let effect = Effect::Throttle { permits: 3, per: Duration::from_secs(3600), retry_after: None };
    let builder = Emulator::builder().job(SP, JobConfig::new(JOB, "Paused"));
    let bench = Bench::of(builder.fault(FaultRule { effect, ..FaultRule::default() })).await;
    for _ in 0..3 {
        assert_eq!(bench.read().await.unwrap().status(), 200);
    }
    let refused = bench.start().await.unwrap();
    assert_eq!(refused.status(), 429);
    let wait: u64 = refused.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=1200).contains(&wait), "{wait}");
    let counts = bench.emulator.job(SP, JOB);
    assert_eq!((counts.starts, counts.starts_effective), (1, 0));
    assert_eq!(bench.true_code(), "Paused");
}

#[tokio::test]
async fn a_lost_part_loses_its_batch() {
    let bench = once(OperationKind::GetJob, Effect::lost_before()).await;
    let url = format!("/servicePrincipals/{SP}/synchronization/jobs/{JOB}");
    let body = json!({"requests": [{"id": "1", "method": "GET", "url": url}]});
    assert!(bench.post("/v1.0/$batch").json(&body).send().await.is_err());
    assert_eq!(bench.post("/v1.0/$batch").json(&body).send().await.unwrap().status(), 200);
}

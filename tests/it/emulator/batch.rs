//! `$batch`.

use std::collections::BTreeMap;

use reqwest::Response;
use serde_json::{Value, json};
use startguard::emulator::{Effect, Emulator, FaultRule, JobConfig, OperationKind};

use super::{Bench, JOB, SP, json};

async fn send(bench: &Bench, requests: Value) -> Response {
    bench.post("/v1.0/$batch").json(&json!({"requests": requests})).send().await.unwrap()
}

fn read(id: &str, job: &str) -> Value {
    let url = format!("/servicePrincipals/{SP}/synchronization/jobs/{job}");
    json!({"id": id, "method": "GET", "url": url})
}

async fn answers(response: Response) -> Vec<(String, Value)> {
    assert_eq!(response.status(), 200);
    let body = json(response).await;
    let answers = body["responses"].as_array().unwrap().iter();
    answers.map(|answer| (answer["id"].as_str().unwrap().to_owned(), answer.clone())).collect()
}

#[tokio::test]
async fn twenty_reads_are_answered_in_another_order() {
    let mut builder = Emulator::builder();
    for number in 0..19 {
        builder = builder.job(SP, JobConfig::new(format!("job-{number}"), "Paused"));
    }
    let bench = Bench::of(builder).await;
    let requests: Vec<Value> =
        (0..20).map(|number| read(&number.to_string(), &format!("job-{number}"))).collect();
    let answers = answers(send(&bench, json!(requests)).await).await;
    let order: Vec<&str> = answers.iter().map(|(id, _)| id.as_str()).collect();
    let asked: Vec<String> = (0..20).map(|number: u32| number.to_string()).collect();
    assert!(order.iter().zip(&asked).all(|(answered, asked)| answered != asked), "{order:?}");
    for (id, answer) in &answers {
        if id == "19" {
            assert_eq!(
                (&answer["status"], &answer["body"]["error"]["code"]),
                (&json!(404), &json!("ResourceNotFound"))
            );
        } else {
            assert_eq!(
                (&answer["status"], &answer["body"]["id"]),
                (&json!(200), &json!(format!("job-{id}")))
            );
        }
    }
    let counts = bench.emulator.counts();
    assert_eq!((counts.graph_requests, counts.batched_requests), (1, 20));
    assert_eq!(counts.job(SP, "job-0").reads, 1);
}

#[tokio::test]
async fn a_batch_that_graph_refuses_is_refused() {
    let bench = Bench::with("Paused").await;
    let many: Vec<Value> = (0..21).map(|number| read(&number.to_string(), JOB)).collect();
    for requests in [
        json!(many),
        json!([]),
        json!([read("1", JOB), read("1", JOB)]),
        json!([read("", JOB)]),
        json!([{"id": "1", "method": "GET", "url": "/x", "dependsOn": ["2"]}]),
        json!("none"),
    ] {
        let refused = send(&bench, requests).await;
        assert_eq!(refused.status(), 400);
        assert_eq!(json(refused).await["error"]["code"], "BadRequest");
    }
    assert_eq!(bench.emulator.job(SP, JOB).reads, 0);
}

#[tokio::test]
async fn parts_have_faults_of_their_own() {
    let builder = Emulator::builder()
        .job(SP, JobConfig::new("a", "Paused"))
        .job(SP, JobConfig::new("b", "Paused"))
        .fault(
            FaultRule::on(OperationKind::GetJob, Effect::status_retry_after(429, 7))
                .on_job(SP, "b"),
        );
    let bench = Bench::of(builder).await;
    let answers: BTreeMap<String, Value> =
        answers(send(&bench, json!([read("1", "a"), read("2", "b")])).await)
            .await
            .into_iter()
            .collect();
    assert_eq!(answers["1"]["status"], 200);
    assert_eq!(
        (&answers["2"]["status"], &answers["2"]["headers"]["Retry-After"]),
        (&json!(429), &json!("7"))
    );
}

#[tokio::test]
async fn a_start_in_a_batch_is_judged_like_any_other() {
    let bench = Bench::with("Active").await;
    let url = format!("/servicePrincipals/{SP}/synchronization/jobs/{JOB}/start");
    let requests = json!([{"id": "1", "method": "POST", "url": url, "headers": {"client-request-id": "mine"}}, read("2", JOB)]);
    let answers: BTreeMap<String, Value> =
        answers(send(&bench, requests).await).await.into_iter().collect();
    assert_eq!(answers["1"]["status"], 204);
    assert!(answers["1"].get("body").is_none());
    let counts = bench.emulator.counts();
    assert_eq!((counts.violations, counts.starts), (1, 1));
    assert_eq!(counts.violation_log[0].client_request_id.as_deref(), Some("mine"));
}

#[tokio::test]
async fn what_depends_on_a_failure_fails() {
    let bench = Bench::with("Paused").await;
    let mut second = read("2", JOB);
    second["dependsOn"] = json!(["1"]);
    let mut third = read("3", JOB);
    third["dependsOn"] = json!(["2"]);
    let requests = json!([read("1", "none"), second, third, read("4", JOB)]);
    let answers: BTreeMap<String, Value> =
        answers(send(&bench, requests).await).await.into_iter().collect();
    let statuses: Vec<u64> =
        answers.values().map(|answer| answer["status"].as_u64().unwrap()).collect();
    assert_eq!(statuses, [404, 424, 424, 200]);
}

#[tokio::test]
async fn a_batch_wants_a_token_and_holds_no_batch() {
    let bench = Bench::with("Paused").await;
    let refused = bench
        .client
        .post(bench.url("/v1.0/$batch"))
        .json(&json!({"requests": [read("1", JOB)]}))
        .send();
    assert_eq!(refused.await.unwrap().status(), 401);
    assert_eq!(bench.emulator.job(SP, JOB).reads, 0);
    let nested = json!([{"id": "1", "method": "POST", "url": "/$batch", "body": {"requests": []}}]);
    assert_eq!(answers(send(&bench, nested).await).await[0].1["status"], 400);
}

#[tokio::test]
async fn an_absolute_url_in_a_batch_leads_nowhere() {
    // msgraph-core for Python sends these (microsoftgraph/msgraph-sdk-python#1015).
    let bench = Bench::with("Paused").await;
    let start = bench.url(&super::job_path("/start"));
    let sent = json!([{"id": "1", "method": "POST", "url": start}]);
    let (_, answer) = answers(send(&bench, sent).await).await.pop().unwrap();
    assert_eq!(answer["status"], 400);
    let message = "Resource not found for the segment 'http:'.";
    assert_eq!(answer["body"]["error"]["message"], message);
    assert_eq!(bench.emulator.job(SP, JOB).starts, 0);
}

//! Every endpoint, as the documentation and the official SDKs call it.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use startguard::emulator::{
    Emulator, EmulatorConfig, JobConfig, OperationKind, ServicePrincipalConfig, Timing,
};

use tokio::io::AsyncWriteExt as _;

use super::{Bench, JOB, SP, job_path, json};

#[tokio::test]
async fn a_paused_job_is_started_and_turns_active() {
    let bench = Bench::with("Paused").await;
    assert_eq!(bench.code().await, "Paused");
    let answer = bench.start().await.unwrap();
    assert_eq!(answer.status(), 204);
    assert!(answer.headers().contains_key("request-id"));
    assert_eq!(answer.bytes().await.unwrap().len(), 0);
    bench.until("Active").await;
    let job = json(bench.read().await.unwrap()).await;
    assert_eq!(job["schedule"]["state"], "Active");
    assert_eq!(job["id"], JOB);
    assert_eq!(bench.emulator.violations(), 0);
}

#[tokio::test]
async fn a_start_shows_only_after_the_delay() {
    let timing = Timing { start_delay: Duration::from_secs(3600), ..Timing::default() };
    let builder = Emulator::builder().job(SP, JobConfig::new(JOB, "Quarantine")).timing(timing);
    let bench = Bench::of(builder).await;
    assert_eq!(bench.start().await.unwrap().status(), 204);
    let job = json(bench.read().await.unwrap()).await;
    assert_eq!(job["status"]["code"], "Quarantine");
    assert_eq!(job["status"]["quarantine"]["reason"], "EncounteredQuarantineException");
}

#[tokio::test]
async fn a_read_lag_hides_what_is_true_already() {
    let timing = Timing {
        start_delay: Duration::ZERO,
        read_lag: Duration::from_secs(3600),
        ..Timing::default()
    };
    let bench =
        Bench::of(Emulator::builder().job(SP, JobConfig::new(JOB, "Paused")).timing(timing)).await;
    assert_eq!(bench.start().await.unwrap().status(), 204);
    assert_eq!(bench.true_code(), "Active");
    assert_eq!(bench.code().await, "Paused");
}

#[tokio::test]
async fn pause_and_restart_and_validate_credentials_do_their_work() {
    let timing =
        Timing { start_delay: Duration::ZERO, first_cycle: Duration::ZERO, ..Timing::default() };
    let broken = JobConfig { credentials_valid: false, ..JobConfig::new("broken", "Paused") };
    let builder = Emulator::builder().job(SP, JobConfig::new(JOB, "Active")).job(SP, broken);
    let bench = Bench::of(builder.timing(timing)).await;

    let saved = json!({"useSavedCredentials": true});
    let validated =
        bench.post(&job_path("/validateCredentials")).json(&saved).send().await.unwrap();
    assert_eq!(validated.status(), 204);
    let path =
        format!("/v1.0/servicePrincipals/{SP}/synchronization/jobs/broken/validateCredentials");
    assert_eq!(bench.post(&path).json(&saved).send().await.unwrap().status(), 400);

    assert_eq!(bench.post(&job_path("/pause")).send().await.unwrap().status(), 204);
    let job = json(bench.read().await.unwrap()).await;
    assert_eq!(
        (&job["status"]["code"], &job["schedule"]["state"]),
        (&json!("Paused"), &json!("Disabled"))
    );

    let restart = |body: Value| bench.post(&job_path("/restart")).json(&body).send();
    assert_eq!(
        restart(json!({"criteria": {"resetScope": "Watermark, Escrows"}})).await.unwrap().status(),
        204
    );
    assert_eq!(bench.code().await, "Active");
    assert_eq!(restart(json!({"criteria": {}})).await.unwrap().status(), 204);
    assert_eq!(
        restart(json!({"criteria": {"resetScope": "Everything"}})).await.unwrap().status(),
        400
    );
    assert_eq!(restart(json!({})).await.unwrap().status(), 400);
    assert_eq!(bench.post(&job_path("/restart")).send().await.unwrap().status(), 400);

    let counts = bench.emulator.job(SP, JOB);
    assert_eq!((counts.pauses, counts.restarts, counts.validations, counts.starts), (1, 5, 1, 0));
}

#[tokio::test]
async fn a_restart_without_a_scope_lifts_a_quarantine() {
    let timing =
        Timing { start_delay: Duration::ZERO, first_cycle: Duration::ZERO, ..Timing::default() };
    for criteria in [json!({}), json!({"resetScope": null}), json!({"resetScope": ""})] {
        let builder = Emulator::builder().job(SP, JobConfig::new(JOB, "Quarantine"));
        let bench = Bench::of(builder.timing(timing.clone())).await;
        let body = json!({"criteria": criteria});
        let restarted = bench.post(&job_path("/restart")).json(&body).send().await.unwrap();
        assert_eq!(restarted.status(), 204, "{criteria}");
        let job = json(bench.read().await.unwrap()).await;
        assert_eq!(job["status"]["code"], "Active", "{criteria}");
        assert_eq!(job["status"]["quarantine"], Value::Null, "{criteria}");
    }
}

#[tokio::test]
async fn jobs_are_listed_page_by_page() {
    let mut builder = Emulator::builder().page_size(2);
    for id in ["a", "b", "c", "d", "e"] {
        builder = builder.job(SP, JobConfig::new(id, "Paused"));
    }
    let bench = Bench::of(builder).await;
    let mut next = Some(bench.url(&format!("/v1.0/servicePrincipals/{SP}/synchronization/jobs")));
    let mut sizes = Vec::new();
    let mut ids = Vec::new();
    while let Some(url) = next {
        assert!(url.starts_with(bench.emulator.base_url()), "{url}");
        let page = json(bench.client.get(url).bearer_auth("t").send().await.unwrap()).await;
        let items = page["value"].as_array().unwrap();
        sizes.push(items.len());
        ids.extend(items.iter().map(|item| item["id"].as_str().unwrap().to_owned()));
        next = page["@odata.nextLink"].as_str().map(str::to_owned);
    }
    assert_eq!((sizes, ids.concat()), (vec![2, 2, 1], "abcde".to_owned()));
    assert_eq!(bench.emulator.counts().of(OperationKind::ListJobs), 3);

    let top = format!("/beta/servicePrincipals/{SP}/synchronization/jobs?$top=1&$select=id");
    let page = json(bench.get(&top).send().await.unwrap()).await;
    assert_eq!(page["value"], json!([{"id": "a"}]));
    assert!(page["@odata.nextLink"].as_str().unwrap().contains("/beta/"));
}

#[tokio::test]
async fn service_principals_are_found_by_filter() {
    let principal =
        |id: &str, app: &str, name: &str| ServicePrincipalConfig::new(id).called(app, name);
    let builder = Emulator::builder()
        .service_principal(principal("1", "app-1", "Workday"))
        .service_principal(principal("2", "app-2", "Workday"))
        .service_principal(principal("3", "app-3", "It's (new) & ü"));
    let bench = Bench::of(builder).await;
    for (filter, ids) in [
        ("appId eq 'APP-2'", vec!["2"]),
        ("displayName eq 'Workday'", vec!["1", "2"]),
        ("displayName eq 'It''s (new) & ü'", vec!["3"]),
        ("id eq '1'", vec!["1"]),
        ("startswith(displayName,'it''s')", vec!["3"]),
        ("displayName eq 'nobody'", vec![]),
        ("displayName eq 'Workday' and appId eq 'app-1'", vec!["1"]),
    ] {
        let query = [("$filter", filter), ("$select", "id,appId"), ("$top", "10")];
        let page =
            json(bench.get("/v1.0/servicePrincipals").query(&query).send().await.unwrap()).await;
        let found: Vec<_> = page["value"]
            .as_array()
            .unwrap()
            .iter()
            .map(|item| item["id"].as_str().unwrap())
            .collect();
        assert_eq!(found, ids, "{filter}");
        assert!(
            page["value"].as_array().unwrap().iter().all(|item| item.get("displayName").is_none())
        );
    }
    let bad =
        bench.get("/v1.0/servicePrincipals").query(&[("$filter", "displayName eq 'x")]).send();
    let bad = bad.await.unwrap();
    assert_eq!(bad.status(), 400);
    assert_eq!(json(bad).await["error"]["code"], "Request_BadRequest");

    for path in [
        "/v1.0/servicePrincipals/3",
        "/v1.0/servicePrincipals(appId='app-3')",
        "/v1.0/servicePrincipals('3')",
    ] {
        let found = json(bench.get(path).send().await.unwrap()).await;
        assert_eq!(
            (&found["id"], &found["displayName"]),
            (&json!("3"), &json!("It's (new) & ü")),
            "{path}"
        );
    }
    for path in ["/v1.0/servicePrincipals/4", "/v1.0/servicePrincipals(appId='3')"] {
        assert_eq!(bench.get(path).send().await.unwrap().status(), 404, "{path}");
    }
}

#[tokio::test]
async fn a_job_is_addressed_in_every_way_that_clients_do() {
    let odd = "a/b c(d)'e";
    let builder = Emulator::builder()
        .job(SP, JobConfig::new(odd, "Paused"))
        .job(SP, JobConfig::new(JOB, "Active"));
    let bench = Bench::of(builder).await;
    let jobs = format!("/v1.0/servicePrincipals/{SP}/synchronization/jobs");
    for path in [
        format!("{jobs}/{JOB}"),
        format!("{jobs}/{JOB}/"),
        format!("/v1.0/servicePrincipals('{SP}')/synchronization/jobs('{JOB}')"),
        format!("/beta/servicePrincipals/{}/synchronization/jobs/{JOB}", SP.to_uppercase()),
        format!("{jobs}/{JOB}?api-version=beta&$select=id"),
        format!("{jobs}/{JOB}?%24select=id"),
    ] {
        assert_eq!(json(bench.get(&path).send().await.unwrap()).await["id"], JOB, "{path}");
    }
    for path in [
        format!("{jobs}/a%2Fb%20c(d)'e"),
        format!("{jobs}/a%2Fb%20c%28d%29%27e"),
        format!("{jobs}('a%2Fb%20c(d)''e')"),
    ] {
        assert_eq!(json(bench.get(&path).send().await.unwrap()).await["id"], odd, "{path}");
        let started = bench.post(&format!("{path}/start")).send().await.unwrap();
        assert_eq!(started.status(), 204);
    }
    assert_eq!(bench.emulator.job(SP, odd).starts, 3);
}

#[tokio::test]
async fn what_official_clients_send_along_is_accepted() {
    let bench = Bench::with("Paused").await;
    let guid = "0b5a4b06-8bd6-4cbb-8ab8-3d3a3e7d5f10";
    let read = bench
        .get(&job_path("?api-version=1.0"))
        .header(
            "Accept",
            "application/json;odata.metadata=minimal;odata.streaming=true;IEEE754Compatible=false",
        )
        .header("SdkVersion", "graph-python/1.12.0, graph-python-core/1.1.2 (featureUsage=1E)")
        .header("client-request-id", guid)
        .header("return-client-request-id", "true")
        .header("ConsistencyLevel", "eventual")
        .header("Prefer", "odata.maxpagesize=10")
        .header("Accept-Encoding", "gzip, deflate")
        .send()
        .await
        .unwrap();
    assert_eq!(read.status(), 200);
    assert_eq!(read.headers()["client-request-id"], guid);
    assert!(read.headers().contains_key("date"));
    // SDKs post actions with no body, with an empty object, with null, with a content type or without.
    for body in ["", "{}", "null"] {
        let path = job_path("/microsoft.graph.start");
        let start = bench.post(&path).header("Content-Type", "application/json").body(body);
        assert_eq!(start.send().await.unwrap().status(), 204, "{body:?}");
    }
}

#[tokio::test]
async fn errors_have_graphs_shape() {
    let bench = Bench::with("Paused").await;
    let guid = "5f0e6b8c-0f3f-4d5e-9d5a-0a1b2c3d4e5f";
    let jobs = format!("/v1.0/servicePrincipals/{SP}/synchronization/jobs");
    for (method, path, status, code) in [
        (Method::GET, format!("{jobs}/none"), 404, "ResourceNotFound"),
        (Method::POST, format!("{jobs}/none/start"), 404, "ResourceNotFound"),
        (Method::GET, "/v1.0/servicePrincipals/none".to_owned(), 404, "Request_ResourceNotFound"),
        (
            Method::GET,
            "/v1.0/servicePrincipals/none/synchronization/jobs".to_owned(),
            404,
            "Request_ResourceNotFound",
        ),
        (Method::POST, format!("{jobs}/{JOB}/begin"), 400, "BadRequest"),
        (Method::GET, format!("{jobs}/{JOB}/start"), 405, "Request_BadRequest"),
        (
            Method::GET,
            "/v1.0/servicePrincipals(appId='x')/synchronization/jobs".to_owned(),
            400,
            "BadRequest",
        ),
        (Method::GET, format!("{jobs}?$top=0"), 400, "Request_BadRequest"),
    ] {
        let request = bench.client.request(method, bench.url(&path)).bearer_auth("t");
        let answer = request.header("client-request-id", guid).send().await.unwrap();
        assert_eq!(answer.status(), status, "{path}");
        let request_id = answer.headers()["request-id"].to_str().unwrap().to_owned();
        let error = json(answer).await["error"].clone();
        assert_eq!(error["code"], code, "{path}");
        assert!(error["message"].is_string());
        assert_eq!(error["innerError"]["request-id"], request_id.as_str());
        assert_eq!(error["innerError"]["client-request-id"], guid);
        assert!(error["innerError"]["date"].is_string());
    }
    assert_eq!(bench.get("/elsewhere").send().await.unwrap().status(), 404);
    assert_eq!(bench.emulator.counts().starts_of_unknown_jobs, 1);
}

#[tokio::test]
async fn the_default_fleet_reads_as_published() {
    let config = EmulatorConfig::default();
    let bench = Bench::of(Emulator::builder().config(config.clone())).await;
    for (name, code, schedule) in [
        ("paused", "Paused", "Disabled"),
        ("quarantined", "Quarantine", "Active"),
        ("too-many-deletes", "Quarantine", "Active"),
        ("running", "Active", "Active"),
        ("never-run", "NotRun", "Disabled"),
        ("not-configured", "NotConfigured", "Disabled"),
        ("first-cycle", "NotRun", "Active"),
        ("escrows-pruned", "Paused", "Disabled"),
    ] {
        let at = config.named(name).unwrap();
        let path = format!(
            "/v1.0/servicePrincipals/{}/synchronization/jobs/{}",
            at.service_principal, at.job
        );
        let job = json(bench.get(&path).send().await.unwrap()).await;
        assert_eq!(job["status"]["code"], code, "{name}");
        assert_eq!(job["schedule"]["state"], schedule, "{name}");
        match name {
            "never-run" => assert_eq!(job["schedule"]["interval"], "P10675199DT2H48M5.4775807S"),
            "too-many-deletes" => {
                let quarantine = &job["status"]["quarantine"];
                assert_eq!(quarantine["reason"], "TooManyDeletes");
                assert_eq!(quarantine["nextAttempt"], "0001-01-01T00:00:00Z");
                assert!(quarantine.get("error").is_none());
            }
            "quarantined" => {
                let began = job["status"]["quarantine"]["currentBegan"].as_str().unwrap();
                assert_eq!(began.len(), "2017-08-22T04:03:11.8943384Z".len(), "{began}");
            }
            "first-cycle" => assert_eq!(job["status"]["lastExecution"]["error"]["code"], "None"),
            "escrows-pruned" => assert_eq!(job["status"]["escrowsPruned"], true),
            _ => {}
        }
    }
}

#[tokio::test]
async fn the_date_header_can_be_wrong() {
    let timing = Timing { date_skew_seconds: -3600, ..Timing::default() };
    let bench = Bench::of(Emulator::builder().timing(timing)).await;
    let answer = bench.get("/v1.0/servicePrincipals").send().await.unwrap();
    let skewed = httpdate::parse_http_date(answer.headers()["date"].to_str().unwrap()).unwrap();
    bench.emulator.set_timing(Timing::default());
    let answer = bench.get("/v1.0/servicePrincipals").send().await.unwrap();
    let right = httpdate::parse_http_date(answer.headers()["date"].to_str().unwrap()).unwrap();
    let off = right.duration_since(skewed).unwrap();
    assert!((3600..3660).contains(&off.as_secs()), "{off:?}");
}

#[tokio::test]
async fn the_control_endpoint_sets_looks_and_resets() {
    let bench = Bench::with("Paused").await;
    let control = |method: Method, path: &str| bench.client.request(method, bench.url(path));
    let send = async |method: Method, path: &str, body: Value| {
        control(method, path).body(body.to_string()).send().await.unwrap()
    };
    let job = format!("/_emulator/jobs/{SP}/new%2Fjob");
    let set = send(
        Method::PUT,
        &job,
        json!({"code": "Quarantine", "quarantine": {"reason": "TooManyDeletes"}}),
    )
    .await;
    assert_eq!(set.status(), 204);
    let seen = json(control(Method::GET, &job).send().await.unwrap()).await;
    assert_eq!(seen["condition"]["quarantine"]["reason"], "TooManyDeletes");
    assert_eq!(seen["address"]["job"], "new/job");

    let rules = json!([{"operation": "start", "effect": {"kind": "status", "status": 503}}]);
    assert_eq!(send(Method::PUT, "/_emulator/faults", rules).await.status(), 204);
    assert_eq!(bench.start().await.unwrap().status(), 503);
    let faults = json(control(Method::GET, "/_emulator/faults").send().await.unwrap()).await;
    assert_eq!(faults[0]["played"], 1);
    let counts = json(control(Method::GET, "/_emulator/counts").send().await.unwrap()).await;
    assert_eq!((&counts["starts"], &counts["violations"]), (&json!(1), &json!(0)));
    assert_eq!(counts["jobs"][SP][JOB]["starts"], 1);
    let requests = json(control(Method::GET, "/_emulator/requests").send().await.unwrap()).await;
    assert_eq!(requests[0]["status"], 503);

    let added = json!({"operation": "get_job", "effect": {"kind": "truncated"}});
    assert_eq!(send(Method::POST, "/_emulator/faults", added).await.status(), 204);
    assert_eq!(send(Method::DELETE, "/_emulator/faults", json!(null)).await.status(), 204);
    assert_eq!(bench.start().await.unwrap().status(), 204);
    assert_eq!(
        send(Method::PUT, "/_emulator/timing", json!({"start_delay": "0s"})).await.status(),
        204
    );
    assert_eq!(send(Method::DELETE, "/_emulator/counts", json!(null)).await.status(), 204);
    assert_eq!(bench.emulator.counts().starts, 0);

    assert_eq!(send(Method::POST, "/_emulator/reset", json!({})).await.status(), 204);
    assert_eq!(bench.code().await, "Paused");
    assert_eq!(control(Method::GET, &job).send().await.unwrap().status(), 404);

    for (path, body) in [
        ("/_emulator/faults", json!([{"effect": {"kind": "status", "status": 42}}])),
        ("/_emulator/faults", json!({"effect": {}})),
        ("/_emulator/timing", json!({"speed": "1s"})),
    ] {
        let refused = send(Method::PUT, path, body).await;
        assert_eq!(refused.status(), 400);
        assert!(json(refused).await["error"].is_string());
    }
}

#[tokio::test]
async fn a_shutdown_ends_waits_and_frees_the_port() {
    let timing = Timing { read_latency: Duration::from_secs(3600), ..Timing::default() };
    let Bench { emulator, client } = Bench::of(Emulator::builder().timing(timing)).await;
    let address = emulator.address();
    let url = format!("{}/v1.0/servicePrincipals", emulator.base_url());
    let waiting = tokio::spawn(client.get(url).bearer_auth("t").send());
    while emulator.counts().in_flight == 0 {
        tokio::task::yield_now().await;
    }
    let ended = tokio::time::timeout(Duration::from_secs(10), emulator.shutdown()).await;
    assert!(ended.is_ok());
    assert!(waiting.await.unwrap().is_ok());
    let config = EmulatorConfig { listen: address, ..EmulatorConfig::empty() };
    assert!(Emulator::start(config).await.is_ok());
}

#[tokio::test]
async fn a_shutdown_breaks_connections_that_do_not_end() {
    let Bench { emulator, .. } = Bench::of(Emulator::builder()).await;
    let mut stuck = tokio::net::TcpStream::connect(emulator.address()).await.unwrap();
    stuck
        .write_all(b"POST /v1.0/$batch HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{")
        .await
        .unwrap();
    let ended = tokio::time::timeout(Duration::from_secs(10), emulator.shutdown()).await;
    assert!(ended.is_ok());
}

#[tokio::test]
async fn links_begin_with_the_origin_that_the_caller_sees() {
    let config = EmulatorConfig { page_size: 1, ..EmulatorConfig::default() };
    let bench = Bench::of(Emulator::builder().config(config.clone())).await;
    let asked = bench.get("/v1.0/servicePrincipals").header("Host", "graph.test:8443");
    let page = json(asked.send().await.unwrap()).await;
    let next = page["@odata.nextLink"].as_str().unwrap();
    assert!(next.starts_with("http://graph.test:8443/v1.0/servicePrincipals?"), "{next}");

    let public_origin = Some("https://graph.test/".to_owned());
    let bench =
        Bench::of(Emulator::builder().config(EmulatorConfig { public_origin, ..config })).await;
    let page = json(bench.get("/v1.0/servicePrincipals").send().await.unwrap()).await;
    let next = page["@odata.nextLink"].as_str().unwrap();
    assert!(next.starts_with("https://graph.test/v1.0/servicePrincipals?"), "{next}");
}

#[tokio::test]
async fn only_loopback_addresses_are_listened_on() {
    let open = std::net::SocketAddr::from(([0, 0, 0, 0], 0));
    assert!(Emulator::builder().listen(open).start().await.is_err());
    let six = std::net::SocketAddr::from((std::net::Ipv6Addr::LOCALHOST, 0));
    if let Ok(emulator) = Emulator::builder().listen(six).start().await {
        assert!(emulator.base_url().starts_with("http://[::1]:"));
    }
}

//! Lists: page by page, at one origin, and not for ever.

use std::sync::Arc;

use startguard::{
    emulator::{Effect, Emulator, FaultRule, JobConfig, OperationKind, ServicePrincipalConfig},
    model::StatusCode,
    ports::{Graph as _, GraphError, SpLookup},
};

use super::{
    SP, fault, graph, key,
    server::{Play, Server, answer},
    settings, soon,
};

const APP: &str = "11111111-2222-3333-4444-555555555555";
const NAME: &str = "O'Neil & Söhne (50%) + 'x' or 1 eq 1";

fn problem<T: std::fmt::Debug>(result: Result<T, GraphError>) -> String {
    match result {
        Err(GraphError::BadResponse { problem }) => problem,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn all_pages_are_read() {
    let mut builder = Emulator::builder().page_size(2);
    for n in 0..5 {
        builder = builder.job(SP, JobConfig::new(format!("job.{n}"), "Paused"));
    }
    let emulator = builder.start().await.unwrap();
    let told = graph(settings(emulator.base_url())).jobs(&key().service_principal_id, soon()).await;
    let jobs = told.result.unwrap();
    assert_eq!(jobs.len(), 5);
    assert!(jobs.iter().all(|job| job.code == StatusCode::Paused && job.id.is_some()));
    assert_eq!((told.cost.requests, told.cost.request_ids.len()), (3, 3));
}

#[tokio::test]
async fn a_page_that_fails_for_a_moment_is_read_again() {
    let mut builder = Emulator::builder().page_size(2);
    for n in 0..3 {
        builder = builder.job(SP, JobConfig::new(format!("job.{n}"), "Paused"));
    }
    let rule = FaultRule::on(OperationKind::ListJobs, Effect::status(503)).after(1).times(1);
    let emulator = builder.fault(rule).start().await.unwrap();
    let told = graph(settings(emulator.base_url())).jobs(&key().service_principal_id, soon()).await;
    assert_eq!((told.result.unwrap().len(), told.cost.requests), (3, 3));
}

#[tokio::test]
async fn the_token_does_not_follow_a_next_page_to_another_origin() {
    let thief = Server::answering(answer(200, &[], r#"{"value":[]}"#)).await;
    let links = [
        format!("{}/v1.0/servicePrincipals", thief.origin()),
        thief.origin().replace("127.0.0.1", "localhost") + "/v1.0/x",
        thief.origin().replace("http:", "") + "/v1.0/x",
    ];
    for url in links {
        let effect = Effect::NextLink { url };
        let emulator = super::emulator(fault(OperationKind::ListJobs, effect)).await;
        let client = graph(settings(emulator.base_url()));
        let told = client.jobs(&key().service_principal_id, soon()).await;
        let problem = problem(told.result);
        assert!(problem.starts_with("its next page is at http://"), "{problem}");
        assert_eq!(told.cost.requests, 1);
    }
    assert_eq!(thief.connections(), 0);
}

#[tokio::test]
async fn a_next_page_outside_of_the_api_is_an_error() {
    let server = Server::start(|_, heard| {
        let link = format!("http://{}/beta/x", heard.header("host").unwrap());
        Play::Answer(answer(200, &[], &format!(r#"{{"value":[],"@odata.nextLink":"{link}"}}"#)))
    })
    .await;
    let told = graph(settings(&server.origin())).jobs(&key().service_principal_id, soon()).await;
    assert_eq!(problem(told.result), "its next page is not below /v1.0/");
    assert_eq!(server.heard().len(), 1);
}

#[tokio::test]
async fn a_list_that_turns_in_circles_is_an_error() {
    let server = Server::start(|number, _| {
        let link = format!("/v1.0/page?n={}", number % 3);
        Play::Answer(answer(200, &[], &format!(r#"{{"value":[],"@odata.nextLink":"{link}"}}"#)))
    })
    .await;
    let told = graph(settings(&server.origin())).jobs(&key().service_principal_id, soon()).await;
    assert_eq!(problem(told.result), "the list's next page is one that was read before");
    assert_eq!(server.heard().len(), 4);
}

#[tokio::test]
async fn a_list_that_never_ends_is_an_error() {
    let server = Server::start(|number, _| {
        let link = format!("/v1.0/page?n={number}");
        Play::Answer(answer(200, &[], &format!(r#"{{"value":[],"@odata.nextLink":"{link}"}}"#)))
    })
    .await;
    let told = graph(settings(&server.origin())).jobs(&key().service_principal_id, soon()).await;
    assert_eq!(problem(told.result), "the list has more than 100 pages");
    assert_eq!(server.heard().len(), 100);
}

#[tokio::test]
async fn a_page_of_too_many_items_is_an_error() {
    let body = format!(r#"{{"value":[{}0]}}"#, "0,".repeat(1_000_000));
    let server = Server::answering(answer(200, &[], &body)).await;
    let told = graph(settings(&server.origin())).jobs(&key().service_principal_id, soon()).await;
    assert_eq!(problem(told.result), "the list has more than 10000 items");
}

#[tokio::test]
async fn names_and_application_ids_are_looked_up_exactly() {
    let twin = "9b41d2c7-30b1-4b62-9f5a-0c7d1e2f3a4b";
    let emulator = Emulator::builder()
        .service_principal(ServicePrincipalConfig::new(SP).called(APP, NAME))
        .service_principal(ServicePrincipalConfig::new(twin).called(twin, "Another"))
        .start()
        .await
        .unwrap();
    let graph = Arc::new(graph(settings(emulator.base_url())));
    for lookup in [SpLookup::DisplayName(NAME.to_owned()), SpLookup::AppId(APP.to_owned())] {
        let found = graph.find(&lookup, soon()).await.result.unwrap();
        let [found] = found.as_slice() else { panic!("{lookup}: {found:?}") };
        assert_eq!((found.id.as_str(), found.app_id.as_deref()), (SP, Some(APP)));
        assert_eq!(found.display_name.as_deref(), Some(NAME));
    }
    let none = graph.find(&SpLookup::DisplayName("O'Neil".to_owned()), soon()).await;
    assert_eq!(none.result.unwrap(), Vec::new());
}

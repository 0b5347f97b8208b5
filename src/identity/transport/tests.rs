use std::sync::atomic::{AtomicUsize, Ordering};

use azure_core::{
    credentials::TokenCredential as _,
    http::{ClientOptions, RetryOptions, Transport as AzureTransport, Url},
};
use azure_identity::{ManagedIdentityCredential, ManagedIdentityCredentialOptions};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use super::*;

/// Sends what is meant for the fixed address of Azure's metadata service to this machine.
#[derive(Debug)]
struct Rewriting {
    inner: Transport,
    to: Url,
}

#[async_trait]
impl HttpClient for Rewriting {
    async fn execute_request(&self, request: &Request) -> azure_core::Result<AsyncRawResponse> {
        assert_eq!(request.url().host_str(), Some("169.254.169.254"));
        let mut url = self.to.clone();
        url.set_query(request.url().query());
        let mut here = Request::new(url, request.method());
        for (name, value) in request.headers().iter() {
            here.insert_header(name.clone(), value.clone());
        }
        self.inner.execute_request(&here).await
    }
}

/// A metadata service that gives every request this answer; how often it was asked.
async fn service(answer: String) -> (Url, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/metadata", listener.local_addr().unwrap());
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            count.fetch_add(1, Ordering::SeqCst);
            let mut request = Vec::new();
            while !request.windows(4).any(|window| window == b"\r\n\r\n") {
                stream.read_buf(&mut request).await.unwrap();
            }
            let request = String::from_utf8(request).unwrap().to_ascii_lowercase();
            assert!(request.contains("metadata: true"), "{request}");
            assert!(request.contains("resource=https%3a%2f%2fgraph.microsoft.com&"), "{request}");
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    (url.parse().unwrap(), asked)
}

fn answer(status: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
}

/// Asks as a virtual machine does.
async fn ask(to: Url) -> azure_core::Result<String> {
    let clients = Arc::new(Clients::new(None, Duration::from_secs(5)).unwrap());
    let inner = Transport { clients, peer: Peer::Metadata { hinted: false } };
    let options = ManagedIdentityCredentialOptions {
        user_assigned_id: Some(azure_identity::UserAssignedId::ClientId("client".to_owned())),
        client_options: ClientOptions {
            retry: RetryOptions::none(),
            transport: Some(AzureTransport::new(Arc::new(Rewriting { inner, to }))),
            ..ClientOptions::default()
        },
    };
    let credential = ManagedIdentityCredential::new(Some(options)).unwrap();
    let token = credential.get_token(&["https://graph.microsoft.com/.default"], None).await?;
    Ok(token.token.secret().to_owned())
}

#[tokio::test]
async fn a_virtual_machine_gets_its_token() {
    let body = r#"{"access_token":"canary","expires_on":"4102444800","token_type":"Bearer","resource":"r"}"#;
    let (url, asked) = service(answer("200 OK", body)).await;
    assert_eq!(ask(url).await.unwrap(), "canary");
    assert_eq!(asked.load(Ordering::SeqCst), 1);
}

/// Left to itself, `azure_identity` asks the metadata service seven times, over a minute.
#[tokio::test]
async fn a_metadata_service_that_fails_is_asked_once() {
    for status in ["503 Busy", "429 Busy", "404 Not Found", "410 Gone", "500 Oops", "302 Found"] {
        let (url, asked) = service(answer(status, "{}")).await;
        let error = ask(url).await.unwrap_err();
        let refusal = Refusal::inside(&error).unwrap();
        assert!(refusal.problem.contains(&status[..3]), "{status}: {}", refusal.problem);
        assert_eq!(asked.load(Ordering::SeqCst), 1, "{status}");
    }
}

#[tokio::test]
async fn a_metadata_service_that_is_not_there_is_asked_once() {
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let error = ask(format!("http://{free}/").parse().unwrap()).await.unwrap_err();
    let refusal = Refusal::inside(&error).unwrap();
    assert!(refusal.absent && refusal.transient, "{refusal:?}");
    assert!(refusal.problem.contains("could not be reached"), "{}", refusal.problem);
}

#[tokio::test]
async fn a_connection_that_breaks_off_is_not_repeated() {
    for half in ["", "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{\"acc"] {
        let (url, asked) = service(half.to_owned()).await;
        let error = ask(url).await.unwrap_err();
        let refusal = Refusal::inside(&error).unwrap();
        assert!(!refusal.absent && refusal.transient, "{refusal:?}");
        assert_eq!(asked.load(Ordering::SeqCst), 1);
    }
}

//! The connection to Temporal, and what must be there before the first ticket.

use anyhow::{Context, bail};
use sallyport_workflows::search_attributes::ALL;
use temporalio_client::{
    Client, ClientOptions, Connection, ConnectionOptions, Url,
    tonic::{Code, Request},
};
use temporalio_common::protos::temporal::api::{
    enums::v1::IndexedValueType,
    operatorservice::v1::{AddSearchAttributesRequest, ListSearchAttributesRequest},
};

use crate::config::TemporalConfig;

/// Connects to Temporal under the name given, which its UI shows as the identity.
pub async fn connect(config: &TemporalConfig, identity: &str) -> anyhow::Result<Client> {
    let url: Url = config.address.parse().with_context(|| {
        format!(
            "`temporal.address` is `{}`: write it as http://HOST:PORT",
            config.address
        )
    })?;
    let connection = Connection::connect(
        ConnectionOptions::new(url)
            .identity(identity.to_owned())
            .build(),
    )
    .await
    .with_context(|| {
        format!(
            "cannot reach Temporal at {}: is it running?",
            config.address
        )
    })?;
    Ok(Client::new(
        connection,
        ClientOptions::new(config.namespace.clone()).build(),
    )?)
}

/// Registers the search attributes that tickets set, where they are missing: without them no ticket could start.
pub async fn ensure_search_attributes(client: &Client, namespace: &str) -> anyhow::Result<()> {
    let mut operator = client.connection().operator_service();
    let list = ListSearchAttributesRequest {
        namespace: namespace.to_owned(),
    };
    let known = match operator.list_search_attributes(Request::new(list)).await {
        Ok(response) => response.into_inner().custom_attributes,
        // Temporal Cloud has no operator service: there an administrator registers them.
        Err(status) if matches!(status.code(), Code::PermissionDenied | Code::Unimplemented) => {
            tracing::warn!("search attributes cannot be checked here; register {ALL:?}");
            return Ok(());
        }
        Err(status) => bail!(
            "cannot list Temporal's search attributes: {}",
            status.message()
        ),
    };
    // One a call: of several names in one call a server with SQL visibility keeps only one.
    for (name, kind) in ALL
        .into_iter()
        .filter(|(name, _)| !known.contains_key(*name))
    {
        let kind = match kind {
            "KeywordList" => IndexedValueType::KeywordList,
            "Datetime" => IndexedValueType::Datetime,
            _ => IndexedValueType::Keyword,
        };
        let add = AddSearchAttributesRequest {
            namespace: namespace.to_owned(),
            search_attributes: [(name.to_owned(), kind as i32)].into(),
        };
        match operator.add_search_attributes(Request::new(add)).await {
            Ok(_) => {}
            Err(status) if status.code() == Code::AlreadyExists => {}
            Err(status) => bail!(
                "cannot register the search attribute {name} at Temporal: {}",
                status.message()
            ),
        }
    }
    Ok(())
}

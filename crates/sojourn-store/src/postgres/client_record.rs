//! Loads a client with its sessions, users and attempts from one snapshot, in one round trip.

use std::sync::Arc;

use sojourn_core::{
    client::ClientWithSessions,
    id::{ClientId, InstanceId},
    sign_in::SignIn,
    sign_up::SignUp,
    user::User,
};

use super::{
    connection::{Begin, Reply, Request},
    failure::Failure,
    shared::Shared,
};
use crate::sql::{attempts, clients, instances, sessions, users};

pub(super) struct StoredClient {
    pub(super) browser: ClientWithSessions,
    pub(super) users: Vec<Arc<User>>,
    pub(super) sign_in: Option<SignIn>,
    pub(super) sign_up: Option<SignUp>,
    pub(super) newest_settings: Option<instances::Newest>,
}

/// Loads the record of a client from one snapshot, in one round trip.
pub(super) async fn load(
    shared: &Shared,
    instance: InstanceId,
    id: ClientId,
) -> Result<Option<StoredClient>, Failure> {
    let mut connection = shared.connection().await?;
    let client = clients::get(instance, id);
    let sessions = sessions::open_of_client(instance, id);
    let users = users::of_client(instance, id);
    let sign_in = attempts::sign_in_of_client(instance, id);
    let sign_up = attempts::sign_up_of_client(instance, id);
    let newest = instances::newest_settings(instance);
    let requests = [
        Request::Begin(Begin::Read),
        connection.statement(client.sql, &client.params).await?,
        connection.statement(sessions.sql, &sessions.params).await?,
        connection.statement(users.sql, &users.params).await?,
        connection.statement(sign_in.sql, &sign_in.params).await?,
        connection.statement(sign_up.sql, &sign_up.params).await?,
        connection.statement(newest.sql, &newest.params).await?,
        Request::Control("COMMIT"),
    ];
    let replies: Vec<Reply> = connection.send(&requests).await?.into_iter().collect::<Result<_, _>>()?;
    connection.done();
    let [_, clients, open, holders, sign_ins, sign_ups, settings, _] = replies.as_slice() else {
        return Ok(None);
    };
    let Some(client) = clients.read(&client)?.pop() else {
        return Ok(None);
    };
    let mut sessions = open.read(&sessions)?;
    sessions::oldest_first(&mut sessions);
    Ok(Some(StoredClient {
        browser: ClientWithSessions { client, sessions },
        users: holders.read(&users)?.into_iter().map(Arc::new).collect(),
        sign_in: sign_ins.read(&sign_in)?.pop(),
        sign_up: sign_ups.read(&sign_up)?.pop(),
        newest_settings: settings.read(&newest)?.pop(),
    }))
}

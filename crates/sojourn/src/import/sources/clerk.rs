//! Clerk: the CSV of its dashboard, and users as its Backend API lists them.

use serde_json::{Map, Value};
use sojourn_core::imported_hash::FORMS;

use super::super::fields::Fields;
use super::super::{Candidate, Options, Password};

/// Columns: id, first_name, last_name, username, primary_email_address, primary_phone_number,
/// verified_email_addresses, unverified_email_addresses, verified_phone_numbers,
/// unverified_phone_numbers, totp_secret, password_digest, password_hasher.
pub(super) fn of_csv(record: &Map<String, Value>, _: &Options) -> Option<Candidate> {
    let fields = Fields(record);
    let verified = fields.list("verified_email_addresses");
    let primary = fields.text("primary_email_address").map(str::to_owned);
    let primary = primary.map(|email| {
        let is_verified = verified.contains(&email);
        (email, Some(is_verified))
    });
    let mut candidate = Candidate { source_id: fields.id("id"), ..Candidate::default() };
    candidate.emails.extend(primary);
    candidate.emails.extend(verified.into_iter().map(|email| (email, Some(true))));
    let unverified = fields.list("unverified_email_addresses");
    candidate.emails.extend(unverified.into_iter().map(|email| (email, Some(false))));
    common(fields, &mut candidate);
    fields.leave_out_except(
        &mut candidate,
        &[
            "id",
            "first_name",
            "last_name",
            "primary_email_address",
            "verified_email_addresses",
            "unverified_email_addresses",
            "password_digest",
            "password_hasher",
            "totp_secret",
            "created_at",
            "updated_at",
            "external_id",
            "backup_codes",
            "legal_accepted_at",
            "banned",
            "locale",
            "public_metadata",
            "private_metadata",
            "unsafe_metadata",
            "last_sign_in_at",
        ],
    );
    Some(candidate)
}

/// Source: the schema `User` of Clerk's Backend API. Its lists have no password hashes.
pub(super) fn of_json(record: &Map<String, Value>, _: &Options) -> Option<Candidate> {
    let fields = Fields(record);
    let primary = fields.text("primary_email_address_id");
    let addresses = fields.value("email_addresses").and_then(Value::as_array);
    let mut addresses: Vec<Fields<'_>> =
        addresses.into_iter().flatten().filter_map(Value::as_object).map(Fields).collect();
    // Stable: the others stay in their order.
    addresses.sort_by_key(|address| primary.is_none() || address.text("id") != primary);
    let email = |address: Fields<'_>| {
        let status = address.inner("verification").and_then(|verification| verification.text("status"));
        Some((address.text("email_address")?.to_owned(), Some(status == Some("verified"))))
    };
    let mut candidate = Candidate {
        source_id: fields.id("id"),
        emails: addresses.into_iter().filter_map(email).collect(),
        ..Candidate::default()
    };
    common(fields, &mut candidate);
    fields.leave_out_except(
        &mut candidate,
        &[
            "id",
            "object",
            "external_id",
            "first_name",
            "last_name",
            "locale",
            "email_addresses",
            "primary_email_address_id",
            "password_digest",
            "password_hasher",
            "public_metadata",
            "private_metadata",
            "unsafe_metadata",
            "banned",
            "created_at",
            "updated_at",
            "legal_accepted_at",
            "delete_self_enabled",
            "totp_secret",
            "backup_codes",
            "password_enabled",
            "image_url",
            "has_image",
            "profile_image_url",
            "last_sign_in_at",
            "last_active_at",
            "locked",
            "lockout_expires_in_seconds",
            "verification_attempts_remaining",
            "password_last_updated_at",
            "create_organization_enabled",
        ],
    );
    Some(candidate)
}

fn common(fields: Fields<'_>, candidate: &mut Candidate) {
    candidate.external_id = fields.id("external_id");
    for name in ["first_name", "last_name", "locale"] {
        fields.text_into(candidate, name, name);
    }
    for name in ["public_metadata", "private_metadata", "unsafe_metadata"] {
        candidate.set(name, fields.object(name).map(Value::Object));
    }
    for name in ["created_at", "legal_accepted_at"] {
        fields.time_into(candidate, name, name);
    }
    for name in ["banned", "delete_self_enabled"] {
        candidate.set(name, fields.flag(name).map(Value::from));
    }
    candidate.password = match (fields.text("password_digest"), fields.text("password_hasher")) {
        (None, _) => Password::None,
        (Some(digest), Some(hasher)) => match FORMS.iter().find(|(name, _)| *name == hasher) {
            Some((hasher, _)) => Password::Hash { hasher, digest: digest.to_owned() },
            None => Password::Unknown(format!("the hasher {hasher:?} is unknown")),
        },
        (Some(_), None) => Password::Unknown("password_digest has no password_hasher".to_owned()),
    };
    fields.leave_out_secrets(candidate, &["totp_secret", "backup_codes"]);
}

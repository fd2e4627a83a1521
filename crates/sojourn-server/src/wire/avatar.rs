//! A placeholder image for users without one: their initials on a colour, as a `data:` URL inside
//! the document, so that the browser requests no other host.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use sojourn_core::user::User;

/// White letters are readable on each of them (contrast of at least 4.5 to 1).
const COLOURS: [&str; 8] =
    ["#1f6f6b", "#8a4b08", "#5b4b8a", "#96304c", "#2f6b2f", "#1d5f9e", "#6d5a12", "#7a3d7a"];

/// Tells the official components that there is no image to remove.
/// Compat: clerk/javascript packages/ui/src/utils/isDefaultImage.ts
const PLACEHOLDER: &str = "avatar_placeholder";

/// The image as a `data:` URL.
/// Compat: clerk/javascript packages/ui/src/elements/Avatar.tsx shows a broken
/// picture for an empty address.
pub fn avatar(user: &User) -> String {
    let sum: usize = user.id.to_string().bytes().map(usize::from).sum();
    let colour = COLOURS[sum % COLOURS.len()];
    let initials = initials(user);
    let svg = format!(
        "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 40 40'><rect width='40' height='40' fill='{colour}'/>\
         <text x='20' y='26' font-size='16' font-family='system-ui,sans-serif' text-anchor='middle' fill='#fff'>{initials}</text></svg>"
    );
    format!("data:image/svg+xml;name={PLACEHOLDER};base64,{}", STANDARD.encode(svg))
}

/// One or two letters, from the names or else from the address.
fn initials(user: &User) -> String {
    let first = |text: Option<&str>| text.and_then(|text| text.chars().find(|c| c.is_alphanumeric()));
    let names = [first(user.first_name.as_deref()), first(user.last_name.as_deref())];
    let letters: String = names.into_iter().flatten().flat_map(char::to_uppercase).collect();
    if !letters.is_empty() {
        return letters;
    }
    let email = first(user.primary_email().map(|address| address.email.as_str()));
    email.map(|letter| letter.to_uppercase().collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use sojourn_core::{id::UserId, testing::SeededRng, time::Timestamp};

    use super::*;

    #[test]
    fn an_avatar_shows_initials_and_no_name_injects_markup() {
        let now = Timestamp::from_millis(0);
        let mut user = User::new(UserId::generate(now, &mut SeededRng::new(1)), now);
        user.first_name = Some("<script>".to_owned());
        user.last_name = Some("'\"&lovelace".to_owned());
        assert_eq!(initials(&user), "SL");
        assert!(avatar(&user).starts_with("data:image/svg+xml;name=avatar_placeholder;base64,"));
        user.first_name = None;
        user.last_name = Some("&&".to_owned());
        assert_eq!(initials(&user), "");
    }
}

//! People, tokens and sessions.

use diptych_core::{Name, Role};
use diptych_store::Store;
use diptych_store::people::{PersonKind, PersonSummary};
use diptych_store::sign_in::{Guest, Invitation, Invited, SignIn};

use crate::place::Place;
use crate::sample::{NOW, Scene, everything_in, named};

pub async fn names_differ_by_more_than_case(store: &Store) {
    let zoe = store.person(&named(" Zoë "), PersonKind::Person, NOW).await.unwrap();
    assert_eq!((zoe.name.as_str(), zoe.simulated), ("Zoë", false));
    assert_eq!(
        store.person(&named("ZOË"), PersonKind::Simulated, NOW).await.unwrap(),
        zoe,
        "the first spelling and kind stay"
    );
    let made_up = store.person(&named("annotator 1"), PersonKind::Simulated, NOW).await.unwrap();
    assert!(made_up.simulated && made_up.id != zoe.id);
    let summary = |name: &str, kind: &str, role: &str| PersonSummary {
        name: name.to_owned(),
        kind: kind.to_owned(),
        role: role.to_owned(),
        responses: 0,
    };
    let sprint = store.sprint("birds", NOW).await.unwrap();
    store.set_role(&sprint, &zoe.id, Role::Moderator).await.unwrap();
    assert_eq!(
        store.people(&sprint).await.unwrap(),
        [summary("annotator 1", "simulated", "annotator"), summary("Zoë", "person", "moderator")]
    );
}

pub async fn a_token_stands_for_its_person(store: &Store) {
    let ana = store.person(&named("Ana"), PersonKind::Person, NOW).await.unwrap();
    store.add_token(&ana.id, "token one", NOW).await.unwrap();
    store.add_token(&ana.id, "token two", NOW).await.unwrap();
    assert_eq!(store.person_of_token("token one").await.unwrap(), Some(ana.clone()));
    assert_eq!(store.person_of_token("token two").await.unwrap(), Some(ana));
    for unknown in ["", "token", "TOKEN ONE"] {
        assert_eq!(store.person_of_token(unknown).await.unwrap(), None);
    }
    assert_eq!(store.person_of_session("token one", NOW).await.unwrap(), None, "a token is no session");
}

pub async fn a_session_ends(store: &Store) {
    let ana = store.person(&named("Ana"), PersonKind::Person, NOW).await.unwrap();
    store.add_session(&ana.id, "short", NOW + 10).await.unwrap();
    store.add_session(&ana.id, "long", NOW + 1000).await.unwrap();
    assert_eq!(store.person_of_session("short", NOW + 9).await.unwrap(), Some(ana.clone()));
    assert_eq!(store.person_of_session("short", NOW + 10).await.unwrap(), None);
    assert_eq!(store.person_of_session("long", NOW + 10).await.unwrap(), Some(ana));
    store.end_session("long").await.unwrap();
    assert_eq!(store.person_of_session("long", NOW + 10).await.unwrap(), None);
    assert_eq!(store.person_of_token("short").await.unwrap(), None, "a session is no token");
}

pub async fn other_ways_in_end_at_ones_wish(store: &Store) {
    let person = async |name: &str| store.person(&named(name), PersonKind::Person, NOW).await.unwrap();
    let (ana, ben) = (person("Ana").await, person("Ben").await);
    for secret in ["here", "there", "over"] {
        let until = if secret == "over" { NOW } else { NOW + 1000 };
        store.add_session(&ana.id, secret, until).await.unwrap();
    }
    store.add_session(&ben.id, "bens", NOW + 1000).await.unwrap();
    for (who, token) in [(&ana, "anas"), (&ben, "bens"), (&ben, "bens second")] {
        store.add_token(&who.id, token, NOW).await.unwrap();
    }
    assert_eq!(store.own_data(&ana.id, NOW).await.unwrap().sessions, 2, "one is over");
    assert_eq!(
        store.own_data(&ana.id, NOW - 1).await.unwrap().sessions,
        3,
        "it was not, and may not be by another clock"
    );
    store.forget_sessions(NOW).await.unwrap();
    assert_eq!(store.own_data(&ana.id, NOW - 1).await.unwrap().sessions, 2);
    assert!(store.person_of_session("there", NOW).await.unwrap().is_some());
    store.end_other_ways_in(&ana.id, "here").await.unwrap();
    assert_eq!(store.person_of_session("here", NOW).await.unwrap(), Some(ana));
    assert_eq!(store.person_of_session("there", NOW).await.unwrap(), None);
    assert_eq!(store.person_of_token("anas").await.unwrap(), None);
    assert_eq!(store.person_of_session("bens", NOW).await.unwrap().as_ref(), Some(&ben));
    assert_eq!(store.revoke_tokens(&ben.id).await.unwrap(), 2);
    assert_eq!(store.person_of_token("bens").await.unwrap(), None);
}

pub async fn a_session_that_ends_elsewhere_is_over_within_a_second(place: &Place) {
    let (here, there) = (Store::clone(place), place.open_again().await.unwrap());
    let ana = here.person(&named("Ana"), PersonKind::Person, NOW).await.unwrap();
    here.add_session(&ana.id, "session", NOW + 5000).await.unwrap();
    for store in [&here, &there] {
        assert_eq!(store.person_of_session("session", NOW).await.unwrap().as_ref(), Some(&ana));
    }
    here.end_session("session").await.unwrap();
    assert_eq!(here.person_of_session("session", NOW).await.unwrap(), None);
    assert_eq!(there.person_of_session("session", NOW + 1000).await.unwrap(), None);
}

pub async fn all_who_ask_at_once_hear_of_their_own_session(store: &Store) {
    // More than one look takes in.
    let numbers: Vec<usize> = (0..300).collect();
    let mut people = Vec::new();
    for number in &numbers[..20] {
        let person = store.person(&named(&format!("Ana {number}")), PersonKind::Person, NOW).await.unwrap();
        store.add_session(&person.id, &format!("session {number}"), NOW + 10).await.unwrap();
        people.push(person);
    }
    let ask = async |number: &usize| {
        store.person_of_session(&format!("session {}", number % 40), NOW).await.unwrap()
    };
    let found = futures::future::join_all(numbers.iter().map(ask)).await;
    let expected: Vec<_> = numbers.iter().map(|number| people.get(number % 40).cloned()).collect();
    assert_eq!(found, expected);
}

pub async fn secrets_are_not_kept_as_they_are(store: &Store) {
    let ana = store.person(&named("Ana"), PersonKind::Person, NOW).await.unwrap();
    store.add_token(&ana.id, "open sesame", NOW).await.unwrap();
    store.add_session(&ana.id, "abracadabra", NOW + 10).await.unwrap();
    let kept = everything_in(store, "SELECT hash FROM tokens UNION ALL SELECT hash FROM sessions").await;
    assert_eq!(kept.lines().map(str::len).collect::<Vec<_>>(), [64, 64]);
    for secret in ["open sesame", "abracadabra"] {
        assert!(!kept.contains(secret) && !kept.contains(&hex::encode(secret)), "{kept}");
    }
}

pub async fn a_new_person_takes_nobodys_name(store: &Store) {
    let ana = store.new_person(&named("Ana"), PersonKind::Person, NOW).await.unwrap().unwrap();
    assert_eq!(store.new_person(&named("ＡＮＡ"), PersonKind::Guest, NOW).await.unwrap(), None);
    let guests = futures::future::join_all(
        (0..20).map(|_| async { store.new_guest(&named("Guest"), NOW).await.unwrap() }),
    );
    let names: std::collections::BTreeSet<String> =
        guests.await.into_iter().map(|guest| guest.name).collect();
    assert_eq!(names.len(), 20, "{names:?}");
    assert!(names.contains("Guest") && names.contains("Guest 9") && !names.contains(&ana.name));
}

pub async fn a_provider_knows_its_people(store: &Store) {
    let ana = store.person(&named("Ana"), PersonKind::Person, NOW).await.unwrap();
    let of = async |issuer: &str, subject: &str, name: &str| {
        store.person_of_identity(issuer, subject, &named(name), NOW).await.unwrap()
    };
    let other = of("https://one", "1", "Ana").await;
    assert_ne!(other.id, ana.id, "a provider's Ana is not the Ana who only said so");
    assert_eq!(other.name, "Ana 2");
    assert_eq!(of("https://one", "1", "Renamed").await, other, "it is the subject that counts");
    assert_ne!(of("https://one", "2", "Ana").await.id, other.id);
    assert_ne!(of("https://two", "1", "Ana").await.id, other.id, "a subject is its issuer's");
    assert_eq!(store.person(&named("ana 2"), PersonKind::Person, NOW).await.unwrap(), other);
}

pub async fn a_sign_in_ends_once(store: &Store) {
    let sign_in = SignIn { provider: "hub".to_owned(), next: "/s/birds".to_owned() };
    store.begin_sign_in("one", &sign_in, NOW, NOW + 10).await.unwrap();
    store.begin_sign_in("two", &sign_in, NOW, NOW + 10).await.unwrap();
    assert_eq!(store.end_sign_in("three", NOW).await.unwrap(), None);
    assert_eq!(store.end_sign_in("one", NOW + 9).await.unwrap(), Some(sign_in.clone()));
    assert_eq!(store.end_sign_in("one", NOW + 9).await.unwrap(), None, "replayed");
    assert_eq!(store.end_sign_in("two", NOW + 10).await.unwrap(), None, "too late");
    store.begin_sign_in("four", &sign_in, NOW + 20, NOW + 30).await.unwrap();
    let kept = everything_in(store, "SELECT hash FROM sign_ins").await;
    assert_eq!(kept.lines().count(), 1, "what is over is forgotten");
    assert!(!kept.contains("four"));
}

pub async fn an_invitation_has_so_many_places(store: &Store) {
    let scene = Scene::new(store, 1, 1).await;
    let to = Invitation { sprint: scene.sprint.clone(), role: Role::Moderator };
    store.invite("come in", &to, 2, NOW, NOW + 100).await.unwrap();
    assert_eq!(store.invitation("come in", false, NOW).await.unwrap(), Some(to.clone()));
    assert_eq!(store.invitation("come in", true, NOW + 100).await.unwrap(), None);
    let accept = async |guest: Guest| store.accept("come in", &guest, "kept", NOW).await.unwrap();
    assert_eq!(accept(Guest::New(named("ANA"))).await, Invited::NameTaken, "and takes no place");
    let Invited::As(dan, _) = accept(Guest::New(named("Dan"))).await else { panic!("there is room") };
    assert_eq!(store.role(&scene.sprint, &dan.id).await.unwrap(), Role::Moderator);
    for again in 0..5 {
        assert_eq!(accept(Guest::Known(dan.clone())).await, Invited::As(dan.clone(), to.clone()), "{again}");
    }
    let eve = store.person(&named("Eve"), PersonKind::Person, NOW).await.unwrap();
    store.set_role(&scene.sprint, &eve.id, Role::Organizer).await.unwrap();
    assert_eq!(accept(Guest::Known(eve.clone())).await, Invited::As(eve.clone(), to.clone()));
    assert_eq!(store.role(&scene.sprint, &eve.id).await.unwrap(), Role::Organizer, "nobody becomes less");
    // Whoever had come in as Gil before comes in anew as a moderator.
    let gil = store.person(&named("Gil"), PersonKind::Person, NOW).await.unwrap();
    store.add_session_by_name(&gil.id, "by name", NOW + 100).await.unwrap();
    store.add_session(&gil.id, "kept", NOW + 100).await.unwrap();
    assert!(store.is_by_name("by name").await.unwrap() && !store.is_by_name("kept").await.unwrap());
    assert_eq!(accept(Guest::Known(gil.clone())).await, Invited::As(gil.clone(), to));
    assert_eq!(store.person_of_session("by name", NOW).await.unwrap(), None);
    assert_eq!(store.person_of_session("kept", NOW).await.unwrap(), Some(gil));
    assert_eq!(accept(Guest::New(named("Fay"))).await, Invited::Over);
    assert_eq!(store.accept("come", &Guest::Known(eve), "", NOW).await.unwrap(), Invited::Over);
    assert!(!everything_in(store, "SELECT hash FROM invitations").await.contains("come in"));
    // Who is there already comes back by the same link, to answer, also where no place is left; a name is nobody's way in
    // who came by one.
    let to = Invitation { sprint: scene.sprint.clone(), role: Role::Annotator };
    store.invite("answer", &to, 1, NOW, NOW + 100).await.unwrap();
    let accept = async |guest: Guest| store.accept("answer", &guest, "", NOW).await.unwrap();
    let Invited::As(hal, _) = accept(Guest::New(named("Hal"))).await else { panic!("there is room") };
    assert_eq!(accept(Guest::New(named("Ida"))).await, Invited::Over);
    assert_eq!(accept(Guest::Known(hal.clone())).await, Invited::As(hal.clone(), to));
    assert_eq!(store.invitation("answer", false, NOW).await.unwrap(), None);
    assert!(store.invitation("answer", true, NOW).await.unwrap().is_some());
    let guest = store.new_guest(&Name::guest(), NOW).await.unwrap();
    for (person, elsewhere) in [(&hal.id, true), (&guest.id, true), (&scene.ana, false)] {
        assert_eq!(store.is_known_elsewhere(person).await.unwrap(), elsewhere);
    }
}

pub async fn what_was_agreed_to_is_kept(store: &Store) {
    let scene = Scene::new(store, 1, 1).await;
    let agreed = async |version: &str| store.has_agreed(&scene.sprint, &scene.ana, version).await.unwrap();
    assert!(!agreed("one").await);
    for _ in 0..2 {
        store.agree(&scene.sprint, &scene.ana, "one", "the first terms", NOW).await.unwrap();
    }
    assert!(agreed("one").await && !agreed("two").await);
    assert!(!store.has_agreed(&scene.sprint, &scene.ben, "one").await.unwrap());
    store.agree(&scene.sprint, &scene.ben, "one", "the first terms", NOW).await.unwrap();
    assert_eq!(everything_in(store, "SELECT text FROM terms").await.trim(), "the first terms");
    assert_eq!(everything_in(store, "SELECT version FROM consents").await.lines().count(), 2);
}

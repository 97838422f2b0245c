//! What the tiers have in common, said once: the views of every office, the
//! desks of an office with teams, the calendar of an office with offices below.

use std::sync::Arc;

use access::{PeopleView, certificates::CertificatesView, sessions::SessionsView};
use domain::filing_review::{Command as Ask, FilingReview};
use event_store::{Answer, Unit, View, act};
use kernel::{OfficeId, id::Tier};
use messaging::directory::{DIRECTORY, DirectoryView, Entry};
use web::{Problem, Route, Seat};

use crate::{
    about, annual_plans, certificates, clue_cases, clues, deadline_policies, divisions, feed,
    filings, findings, history, identities, keys, operations, organizations, own_account, papers,
    people, reads, rectifications, results, reviews, rounds, sealing, sign_in, signing, targets,
    token_keys,
};

/// The views of every office.
pub fn common_views(office: &OfficeId) -> Vec<Arc<dyn View>> {
    vec![
        Arc::new(DirectoryView),
        Arc::new(PeopleView),
        Arc::new(SessionsView),
        Arc::new(CertificatesView),
        Arc::new(crate::envelopes::EnvelopesView),
        Arc::new(crate::recusals::RecusalsView),
        Arc::new(deadline_policies::DeadlinePoliciesView),
        Arc::new(reads::ReadsView),
        Arc::new(divisions::DivisionsView),
        Arc::new(organizations::OrganizationsView),
        Arc::new(targets::TargetsView),
        Arc::new(annual_plans::AnnualPlansView),
        Arc::new(rounds::RoundsView),
        Arc::new(findings::FindingsView { office: office.clone() }),
        Arc::new(rectifications::RectificationsView),
        Arc::new(filings::FilingsView { office: office.clone() }),
        Arc::new(reviews::ReviewsView { office: office.clone() }),
        Arc::new(signing::SigningView),
        Arc::new(crate::escrow::EscrowView { office: office.clone() }),
        Arc::new(identities::IdentitiesView),
        Arc::new(clues::view::CluesView { office: office.clone() }),
        Arc::new(clue_cases::fold::CasesView { office: office.clone() }),
        Arc::new(sealing::SealingView { office: office.clone() }),
    ]
}

/// The routes of every office.
pub fn common_routes() -> Vec<Route> {
    let mut routes = about::routes();
    routes.extend(operations::routes());
    routes.extend(sign_in::routes());
    routes.extend(own_account::routes());
    routes.extend(people::routes());
    routes.extend(crate::openid::routes());
    routes.extend(crate::organs::routes());
    routes.extend(certificates::routes());
    routes.extend(reads::routes());
    routes.extend(keys::routes());
    routes.extend(signing::routes());
    routes.extend(crate::escrow::routes());
    routes.extend(token_keys::routes());
    routes.extend(history::routes());
    routes.extend(feed::routes());
    routes.extend(crate::past::routes());
    routes.extend(crate::ledger::routes());
    routes.extend(papers::routes());
    routes.extend(divisions::routes());
    routes.extend(findings::routes());
    routes.extend(rectifications::routes());
    routes.extend(crate::worklist::routes());
    routes.extend(crate::envelopes::routes());
    routes.extend(deadline_policies::routes());
    routes
}

/// The routes of an office whose committee inspects: city and district.
pub fn inspecting_routes() -> Vec<Route> {
    let mut routes = organizations::routes();
    routes.extend(crate::recusals::routes());
    routes.extend(deadline_policies::deciding_routes());
    routes.extend(targets::routes());
    routes.extend(crate::pace::routes());
    routes.extend(annual_plans::routes());
    routes.extend(rounds::routes());
    routes.extend(findings::team_routes());
    routes.extend(reviews::routes());
    routes.extend(results::routes());
    routes.extend(clues::routes());
    routes.extend(clue_cases::routes());
    routes.extend(identities::routes());
    routes.extend(crate::board::routes());
    routes
}

/// The routes of an office that files upward: district and township.
pub fn filing_routes() -> Vec<Route> {
    filings::routes()
}

/// The calendar's expectations of every office below, once a day of its clock.
pub async fn calendar_turn(seat: &Arc<Seat>) -> Result<(), Problem> {
    let setting = seat.office.setting();
    if setting.tier != Tier::City {
        return Ok(());
    }
    let today = setting.clock.now().day();
    let members: Vec<(String, Entry)> = seat.office.reader().await?.all(DIRECTORY, "").await?;
    let (mut due, packs) = (Vec::new(), deadline_policies::of_seat(seat).await?);
    for (_, Entry { member, .. }) in members {
        if member.seat.parent.as_ref() == Some(&setting.office) {
            let packs = packs.clone().for_tier(member.seat.tier);
            due.extend(reviews::calendar(&packs, &member.seat.office, &setting.office, today));
        }
    }
    if due.is_empty() {
        return Ok(());
    }
    let expecting = act(move |unit: &mut Unit<'_>| {
        let due = due.clone();
        Box::pin(async move {
            let office = unit.setting().office.clone();
            for expectation in due {
                let id = reviews::review_id(&office, &expectation);
                let ask = Ask::Expect { expectation, source: "calendar".to_owned() };
                unit.execute::<FilingReview>(&id, ask).await?;
            }
            Ok(Answer { status: 200, etag: String::new(), body: Vec::new() })
        })
    });
    seat.office.system(expecting).await?;
    Ok(())
}

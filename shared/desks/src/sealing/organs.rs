//! Organs' sealing keys: made in the vault, published, and where an organ is at home.

use std::collections::BTreeMap;

use domain::{
    custody::Party,
    organ_key::{OrganKey, Publish},
    post::Organ,
};
use event_store::{Answer, Unit, act};
use kernel::{OfficeId, id::Tier, sign::PublicKey};
use web::{Problem, Seat};

use super::in_vault;

/// Published keys of organs by `office/organ`.
pub const ORGAN_KEYS: &str = "organ-keys";
/// The offices that organs are, by `office/organ`.
pub const ORGAN_HOMES: &str = "organ-homes";
/// The organs of an office with clues that have a key.
const ORGANS: [Organ; 3] =
    [Organ::InspectionOffice, Organ::DisciplineOrgan, Organ::OrganizationDepartment];

/// The name of an organ in keys and grants.
pub fn organ_name(organ: Organ) -> String {
    serde_json::to_value(organ).ok().and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default()
}

/// Lets everybody who may offer know the organs' keys.
pub(crate) async fn publish(seat: &Seat) -> Result<(), String> {
    if seat.office.setting().tier == Tier::Township {
        return Ok(());
    }
    let office = seat.office.setting().office.clone();
    for organ in ORGANS {
        let name = organ_name(organ);
        let key = in_vault(seat, move |vault| vault.organ(&name).map(|key| key.public()));
        let key = PublicKey(key.await.map_err(|problem| problem.0.to_string())?.0);
        let id = format!("{office}-{}", organ_name(organ));
        let run = act(move |unit: &mut Unit<'_>| {
            let id = id.clone();
            Box::pin(async move {
                unit.execute::<OrganKey>(&id, Publish { organ, key }).await?;
                Ok(Answer { status: 200, etag: String::new(), body: Vec::new() })
            })
        });
        seat.office.system(run).await.map_err(|refusal| refusal.to_string())?;
    }
    Ok(())
}

/// The organs that are offices of their own, and which.
pub(crate) async fn homes(seat: &Seat) -> Result<BTreeMap<Party, OfficeId>, Problem> {
    let rows: Vec<(String, OfficeId)> = seat.office.reader().await?.all(ORGAN_HOMES, "").await?;
    let party = |name: &str| {
        let (office, organ) = name.split_once('/')?;
        let organ = serde_json::from_value(organ.into()).ok()?;
        Some(Party { office: OfficeId::parse(office)?, organ })
    };
    Ok(rows.into_iter().filter_map(|(name, home)| Some((party(&name)?, home))).collect())
}

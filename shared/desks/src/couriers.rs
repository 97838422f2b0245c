//! The loops of the link by files: an office's courier, and the city's counter.

use std::{fs, sync::Arc, time::Duration};

use kernel::clock::wall;
use messaging::{
    files::{Tray, counter::Counter, courier::Courier},
    link::Failure,
};
use web::Seat;

use crate::{
    enrolment::{Admission, Admittance, admit_by},
    papers::PaperRunner,
};

/// How often the trays are looked at.
const LOOK: Duration = Duration::from_secs(1);

/// Takes in what was brought and puts out what is to be carried away.
pub(crate) async fn courier_loop(mut courier: Courier, seat: Arc<Seat>) {
    let papers = PaperRunner::new(seat.clone(), None);
    loop {
        tokio::time::sleep(LOOK).await;
        match turn(&mut courier, &papers).await {
            Ok(taken) => {
                if taken > 0 {
                    seat.link.set(true, courier.held());
                }
            }
            Err(error) => tracing::warn!(error = %error, "the courier waits"),
        }
    }
}

async fn turn(courier: &mut Courier, papers: &PaperRunner) -> Result<usize, Failure> {
    let taken = courier.take().await?;
    let wanted = papers.wanted().await.unwrap_or_default();
    courier.send(wall(), wanted).await?;
    Ok(taken)
}

/// Serves every office that brings its parcels, and whoever wants to become one.
pub(crate) async fn counter_loop(counter: Counter, tray: Tray, admission: Arc<Admission>) {
    loop {
        tokio::time::sleep(LOOK).await;
        let served = async {
            applications(&tray, &admission).await?;
            counter.take().await?;
            counter.send(wall()).await
        };
        if let Err(error) = served.await {
            tracing::warn!(error = %error, "the counter waits");
        }
    }
}

async fn applications(tray: &Tray, admission: &Admission) -> Result<(), Failure> {
    for path in tray.brought("application")? {
        let admitted = admit_by(admission, &fs::read(&path)?).await;
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        match &admitted {
            // It lies there until enough districts have consented.
            Ok(Admittance::Waits(..)) => continue,
            Ok(Admittance::Admitted(admitted)) => {
                tray.put(&format!("{name}.admitted"), &serde_json::to_vec(admitted)?)?;
            }
            Err(problem) => {
                tracing::warn!(file = %path.display(), ?problem, "an application is refused");
            }
        }
        tray.put_away(&path, admitted.is_ok())?;
    }
    Ok(())
}

//! The doors that are open, and how they come to a new configuration.

use std::io;
use std::mem;
use std::sync::Arc;

use tokio::sync::{mpsc, watch};

use crate::delivery::Sorter;

use super::accept::{OpenDoor, Terms};
use super::doors::{Doors, Listen, Passed, Place};
use super::{House, Options, Shared};

/// What a configuration comes to.
pub struct Site {
    /// The doors.
    pub listen: Vec<Listen>,
    /// What delivers.
    pub sorter: Sorter,
    /// How connections are treated.
    pub options: Options,
    /// What of the configuration waits for a restart, and what else is to be said of it.
    pub notes: Vec<String>,
}

/// Reads the configuration again; an error is in words for people, and changes nothing.
pub type Reread = Box<dyn FnMut() -> Result<Site, String> + Send>;

/// The doors that are open.
pub(super) struct OpenDoors {
    doors: Vec<OpenDoor>,
    shared: Arc<Shared>,
    reread: Option<Reread>,
    stopping: watch::Receiver<bool>,
    alive: mpsc::Sender<()>,
}

impl OpenDoors {
    /// Lets peers in.
    pub(super) fn new(
        doors: Doors,
        site: Site,
        reread: Reread,
        house: Arc<House>,
        stopping: watch::Receiver<bool>,
        alive: mpsc::Sender<()>,
    ) -> io::Result<OpenDoors> {
        let mut open = OpenDoors {
            doors: Vec::new(),
            shared: Arc::new(Shared::new(&house, site.sorter, site.options)),
            reread: Some(reread),
            stopping,
            alive,
        };
        open.open(doors)?;
        Ok(open)
    }

    /// In one line, for the service manager.
    pub(super) fn status(&self) -> String {
        let places: Vec<String> = self.doors.iter().map(|door| door.listen.place.to_string()).collect();
        format!("Serving at {}", places.join(", "))
    }

    /// Reads the configuration again, and keeps to it from now on; connections that are open keep what they came under.
    ///
    /// # Errors
    /// Why everything stays as it was, in words; they are logged, too.
    pub(super) async fn reload(&mut self) -> Result<String, String> {
        let result = self.try_reload().await;
        match &result {
            Ok(notes) => {
                tracing::info!("reloaded the configuration");
                for note in notes.lines() {
                    tracing::warn!("{note}");
                }
            }
            Err(why) => tracing::error!("the configuration stays as it was: {why}"),
        }
        result
    }

    async fn try_reload(&mut self) -> Result<String, String> {
        // Nobody else takes it: there is one reload at a time.
        let Some(mut reread) = self.reread.take() else {
            return Err("a reload before this one died".to_owned());
        };
        let read = tokio::task::spawn_blocking(move || (reread(), reread));
        let (site, reread) = read.await.map_err(|panic| panic.to_string())?;
        self.reread = Some(reread);
        let site = site?;
        self.change(site).map_err(|error| error.to_string())
    }

    fn change(&mut self, mut site: Site) -> io::Result<String> {
        // What can fail comes first.
        let is_open = |listen: &&Listen| self.doors.iter().any(|door| door.listen.place.is(&listen.place));
        let new: Vec<Listen> = site.listen.iter().filter(|listen| !is_open(listen)).cloned().collect();
        let doors = Doors::bind(&new, &mut Passed::default()).map_err(io::Error::other)?;
        site.sorter.succeed(&self.shared.sorter);
        let house = self.shared.house.clone();
        house.set(&site.options);
        self.shared = Arc::new(Shared::new(&house, site.sorter, site.options));
        let mut notes = site.notes;
        for door in mem::take(&mut self.doors) {
            self.keep(door, &site.listen, &mut notes);
        }
        self.open(doors)?;
        Ok(notes.iter().map(|note| format!("{note}\n")).collect())
    }

    /// Gives an open door its new terms; or closes it where it is named no more.
    fn keep(&mut self, mut door: OpenDoor, listen: &[Listen], notes: &mut Vec<String>) {
        let Some(new) = listen.iter().find(|listen| listen.place.is(&door.listen.place)) else {
            tracing::info!("closed: {} on {}", door.listen.protocol, door.listen.place);
            door.terms.send_replace(None);
            return;
        };
        if let (Place::Unix { .. }, true) = (&new.place, new.place != door.listen.place) {
            notes.push(format!("{}: mode, owner and group change with a restart", new.place));
        }
        // What it is in truth stays written down, so that the next reload says the same.
        let place = mem::replace(&mut door.listen, new.clone()).place;
        door.listen.place = place;
        let terms = Terms::new(self.shared.clone(), new.clone());
        door.terms.send_replace(Some(Arc::new(terms)));
        self.doors.push(door);
    }

    fn open(&mut self, mut doors: Doors) -> io::Result<()> {
        for (protocol, place) in doors.places() {
            tracing::info!("listening: {protocol} on {place}");
        }
        for (listen, socket) in mem::take(&mut doors.0) {
            let terms = Terms::new(self.shared.clone(), listen);
            let door = OpenDoor::open(socket.open()?, terms, self.stopping.clone(), self.alive.clone());
            self.doors.push(door);
        }
        Ok(())
    }
}

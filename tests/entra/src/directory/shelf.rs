//! Objects in the order in which they came, found by id and by tenant without a search. Cheap to clone: the objects are shared.

use std::collections::{BTreeMap, HashMap};

use crate::seed::Guid;

/// What can stand on a shelf.
pub(super) trait Object {
    /// The object id.
    fn id(&self) -> &Guid;
    /// The tenant that holds it.
    fn tenant(&self) -> &Guid;
}

/// An object's place: later objects have higher ones, and none is given twice.
pub(crate) type Place = u32;

/// Objects of one kind.
#[derive(Debug, Clone)]
pub(super) struct Shelf<T> {
    rows: BTreeMap<Place, T>,
    places: HashMap<Guid, Place>,
    by_tenant: HashMap<Guid, Vec<Place>>,
    next: Place,
}

impl<T> Default for Shelf<T> {
    fn default() -> Self {
        Self { rows: BTreeMap::new(), places: HashMap::new(), by_tenant: HashMap::new(), next: 0 }
    }
}

impl<T: Object> Shelf<T> {
    /// The object with this id.
    pub(super) fn get(&self, id: &Guid) -> Option<&T> {
        self.rows.get(self.places.get(id)?)
    }

    /// The same, to change anything but its id and tenant.
    pub(super) fn get_mut(&mut self, id: &Guid) -> Option<&mut T> {
        self.rows.get_mut(self.places.get(id)?)
    }

    /// Where it stands.
    pub(super) fn place(&self, id: &Guid) -> Option<Place> {
        self.places.get(id).copied()
    }

    /// The object at a place.
    pub(super) fn at(&self, place: Place) -> Option<&T> {
        self.rows.get(&place)
    }

    /// All, in order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.rows.values()
    }

    /// The places of a tenant's objects, in order.
    pub(super) fn of_tenant(&self, tenant: &Guid) -> &[Place] {
        self.by_tenant.get(tenant).map_or(&[], Vec::as_slice)
    }

    /// Puts an object in the place of the one with its id, else at the end; answers its place.
    pub(super) fn put(&mut self, object: T) -> Place {
        if let Some(place) = self.place(object.id()) {
            self.rows.insert(place, object);
            return place;
        }
        let place = self.next;
        self.next += 1;
        self.places.insert(object.id().clone(), place);
        self.by_tenant.entry(object.tenant().clone()).or_default().push(place);
        self.rows.insert(place, object);
        place
    }

    /// Takes an object away.
    pub(super) fn take(&mut self, id: &Guid) -> Option<T> {
        let place = self.places.remove(id)?;
        let object = self.rows.remove(&place)?;
        if let Some(places) = self.by_tenant.get_mut(object.tenant())
            && let Ok(position) = places.binary_search(&place)
        {
            places.remove(position);
        }
        Some(object)
    }
}

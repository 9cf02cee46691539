use std::{collections::BTreeMap, ops::Range};

/// Numbers that are free, as ranges that neither overlap nor touch.
#[derive(Clone, Debug)]
pub(super) struct FreeRanges {
    /// Length by start; 64 bits, so that the end of a range can lie behind the last number.
    ranges: BTreeMap<u64, u64>,
    free: u64,
    taken: u32,
}

impl FreeRanges {
    pub(super) fn new(all: Range<u32>) -> Self {
        let length = all.end.saturating_sub(all.start);
        let mut ranges = Self { ranges: BTreeMap::new(), free: 0, taken: length };
        ranges.release(all.start, length);
        ranges
    }

    /// How many numbers are taken.
    pub(super) fn taken(&self) -> u32 {
        self.taken
    }

    /// How many numbers are free.
    pub(super) fn free(&self) -> u64 {
        self.free
    }

    /// The first multiple of `alignment` from which on `length` numbers in a row are free.
    pub(super) fn first_fit(&self, length: u32, alignment: u32) -> Option<u32> {
        let starts = self.ranges.iter().map(|(start, room)| {
            let aligned = start.next_multiple_of(alignment.into());
            (aligned, start + room)
        });
        let fits = |(start, end): &(u64, u64)| start + u64::from(length) <= *end;
        starts.into_iter().find(fits).and_then(|(start, _)| u32::try_from(start).ok())
    }

    /// Takes `length` numbers in a row, the first that are free from a multiple of `alignment` on.
    pub(super) fn take(&mut self, length: u32, alignment: u32) -> Option<u32> {
        let start = self.first_fit(length, alignment)?;
        self.reserve(start, length).then_some(start)
    }

    /// Takes these very numbers; `false`, and nothing taken, where one of them is not free.
    pub(super) fn reserve(&mut self, start: u32, length: u32) -> bool {
        let taken = self.taken.saturating_add(length);
        let (start, length) = (u64::from(start), u64::from(length));
        let Some((&from, &room)) = self.ranges.range(..=start).next_back() else { return false };
        if start + length > from + room {
            return false;
        }
        self.ranges.remove(&from);
        if from < start {
            self.ranges.insert(from, start - from);
        }
        if start + length < from + room {
            self.ranges.insert(start + length, from + room - start - length);
        }
        self.free -= length;
        self.taken = taken;
        true
    }

    /// Gives numbers back, which must have been taken before.
    pub(super) fn release(&mut self, start: u32, length: u32) {
        self.taken = self.taken.saturating_sub(length);
        let (mut start, mut length) = (u64::from(start), u64::from(length));
        if length == 0 {
            return;
        }
        self.free += length;
        if let Some(room) = self.ranges.remove(&(start + length)) {
            length += room;
        }
        if let Some((&from, &room)) = self.ranges.range(..start).next_back()
            && from + room == start
        {
            start = from;
            length += room;
        }
        self.ranges.insert(start, length);
    }
}

#[cfg(test)]
mod tests {
    use super::FreeRanges;

    #[test]
    fn freed_neighbours_become_one_range() {
        let mut ranges = FreeRanges::new(0..12);
        let taken: Vec<_> = (0..3).map(|_| ranges.take(4, 1).unwrap()).collect();
        assert_eq!(taken, [0, 4, 8]);
        assert_eq!(ranges.take(1, 1), None);
        for start in [8, 0, 4] {
            ranges.release(start, 4);
        }
        assert_eq!(ranges.take(12, 1), Some(0));
    }

    #[test]
    fn the_lowest_room_is_taken_first() {
        let mut ranges = FreeRanges::new(0..10);
        assert!(ranges.reserve(2, 2));
        assert!(!ranges.reserve(1, 2));
        assert!(!ranges.reserve(8, 3));
        assert_eq!(ranges.take(4, 1), Some(4));
        assert_eq!(ranges.take(2, 1), Some(0));
        assert_eq!(ranges.free(), 2);
    }

    #[test]
    fn what_is_aligned_leaves_the_room_before_it() {
        let mut ranges = FreeRanges::new(0..40);
        assert_eq!(ranges.take(3, 1), Some(0));
        assert_eq!(ranges.take(16, 16), Some(16));
        assert_eq!(ranges.take(9, 16), None);
        assert_eq!(ranges.take(8, 16), Some(32));
        assert_eq!(ranges.take(13, 1), Some(3));
        assert_eq!(ranges.free(), 0);
    }

    #[test]
    fn the_last_number_can_be_taken() {
        let mut ranges = FreeRanges::new(1..u32::MAX);
        assert!(ranges.reserve(u32::MAX - 1, 1));
        assert!(!ranges.reserve(u32::MAX, 1));
        assert!(!ranges.reserve(0, 1));
    }
}

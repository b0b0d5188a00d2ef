//! Trees of which links are made and broken, and that tell quickly whether a link would close a loop.
//!
//! A mailbox may be hostile: a chain of 100,000 replies, and messages that ask at its end again and again
//! who stands at its beginning. Walking there each time would take hours. These are the link-cut trees of
//! Sleator and Tarjan: paths of the forest are kept as splay trees, ordered from the root downwards.

const NONE: u32 = u32::MAX;

/// Trees over nodes that are numbers.
#[derive(Default)]
pub(super) struct Forest {
    /// The parents, as asked for.
    parents: Vec<u32>,
    /// The splay trees: what stands before a node on its path, and behind it.
    sides: Vec<[u32; 2]>,
    /// The node above in the splay tree; of its root, the node above the path.
    above: Vec<u32>,
}

impl Forest {
    /// So many nodes without links. There may be at most 4,294,967,295 of them.
    pub(super) fn new(nodes: usize) -> Forest {
        Forest {
            parents: vec![NONE; nodes],
            sides: vec![[NONE; 2]; nodes],
            above: vec![NONE; nodes],
        }
    }

    pub(super) fn parent(&self, node: u32) -> Option<u32> {
        Some(self.parents[node as usize]).filter(|parent| *parent != NONE)
    }

    /// Makes a node without a parent the child of another, unless that closes a loop.
    pub(super) fn link(&mut self, child: u32, parent: u32) {
        if child == parent || self.parents[child as usize] != NONE || self.root(parent) == child {
            return;
        }
        self.parents[child as usize] = parent;
        self.expose(child);
        self.above[child as usize] = parent;
    }

    /// Takes a node away from its parent.
    pub(super) fn cut(&mut self, child: u32) {
        if self.parents[child as usize] == NONE {
            return;
        }
        self.parents[child as usize] = NONE;
        self.expose(child);
        let before = std::mem::replace(&mut self.sides[child as usize][0], NONE);
        if before != NONE {
            self.above[before as usize] = NONE;
        }
    }

    fn root(&mut self, node: u32) -> u32 {
        self.expose(node);
        let mut root = node;
        while self.sides[root as usize][0] != NONE {
            root = self.sides[root as usize][0];
        }
        self.splay(root);
        root
    }

    // Makes the path from the root to the node one splay tree, with the node on top.
    fn expose(&mut self, node: u32) {
        let (mut behind, mut top) = (NONE, node);
        while top != NONE {
            self.splay(top);
            self.sides[top as usize][1] = behind;
            behind = top;
            top = self.above[top as usize];
        }
        self.splay(node);
    }

    // Which side of the node above it a node is on; none at the top of its splay tree.
    fn side(&self, node: u32) -> Option<usize> {
        let above = self.above[node as usize];
        if above == NONE {
            return None;
        }
        self.sides[above as usize].iter().position(|side| *side == node)
    }

    fn splay(&mut self, node: u32) {
        while let Some(side) = self.side(node) {
            let above = self.above[node as usize];
            if let Some(upper) = self.side(above) {
                self.rotate(if upper == side { above } else { node });
            }
            self.rotate(node);
        }
    }

    fn rotate(&mut self, node: u32) {
        let Some(side) = self.side(node) else { return };
        let above = self.above[node as usize];
        let upper = self.side(above);
        let top = self.above[above as usize];
        let inner = self.sides[node as usize][1 - side];
        self.sides[above as usize][side] = inner;
        if inner != NONE {
            self.above[inner as usize] = above;
        }
        self.sides[node as usize][1 - side] = above;
        self.above[above as usize] = node;
        self.above[node as usize] = top;
        if let Some(upper) = upper {
            self.sides[top as usize][upper] = node;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    // The same by walking.
    fn closes_loop(parents: &[u32], child: u32, parent: u32) -> bool {
        let mut at = parent;
        while at != NONE && at != child {
            at = parents[at as usize];
        }
        at == child
    }

    proptest! {
        #[test]
        fn does_what_walking_does(steps in proptest::collection::vec((0u32..12, 0u32..12, any::<bool>()), 0..200)) {
            let mut forest = Forest::new(12);
            let mut parents = vec![NONE; 12];
            for (child, parent, cuts) in steps {
                if cuts {
                    forest.cut(child);
                    parents[child as usize] = NONE;
                } else {
                    forest.link(child, parent);
                    if parents[child as usize] == NONE && !closes_loop(&parents, child, parent) {
                        parents[child as usize] = parent;
                    }
                }
                prop_assert_eq!(&forest.parents, &parents);
            }
        }
    }
}

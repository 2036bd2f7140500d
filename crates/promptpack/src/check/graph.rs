//! Circles in a graph, without recursion: a pack may chain as many things as it has.

/// Circles beyond this are not listed.
const MAX_CYCLES: usize = 16;

/// The circles met when following `edges` (from each node to others), each as
/// its nodes in order, the first one repeated at the end; and the nodes in
/// such an order that every node comes after those that it leads to.
pub(crate) fn cycles(edges: &[Vec<usize>]) -> (Vec<Vec<usize>>, Vec<usize>) {
    #[derive(Clone, Copy, PartialEq)]
    enum Mark {
        New,
        Open,
        Done,
    }
    let mut marks = vec![Mark::New; edges.len()];
    let mut found = Vec::new();
    let mut order = Vec::with_capacity(edges.len());
    let mark = |marks: &mut Vec<Mark>, node: usize, mark| {
        if let Some(slot) = marks.get_mut(node) {
            *slot = mark;
        }
    };
    for start in 0..edges.len() {
        if marks.get(start) != Some(&Mark::New) {
            continue;
        }
        // Each entry is a node and how many of its edges are done.
        let mut stack = vec![(start, 0)];
        mark(&mut marks, start, Mark::Open);
        while let Some((node, done)) = stack.last_mut() {
            let node = *node;
            let Some(next) = edges.get(node).and_then(|targets| targets.get(*done)).copied() else {
                mark(&mut marks, node, Mark::Done);
                order.push(node);
                stack.pop();
                continue;
            };
            *done += 1;
            match marks.get(next) {
                Some(Mark::New) => {
                    mark(&mut marks, next, Mark::Open);
                    stack.push((next, 0));
                }
                Some(Mark::Open) if found.len() < MAX_CYCLES => {
                    let circle =
                        stack.iter().map(|(node, _)| *node).skip_while(|node| *node != next);
                    found.push(circle.chain([next]).collect());
                }
                _ => {}
            }
        }
    }
    (found, order)
}

/// The names of a circle, for messages.
pub(crate) fn chain<'n>(circle: &[usize], name: impl Fn(usize) -> &'n str) -> String {
    const MOST: usize = 10;
    let mut names: Vec<String> =
        circle.iter().take(MOST).map(|node| crate::decode::excerpt(name(*node))).collect();
    if circle.len() > MOST {
        names.push(format!("… ({} more)", circle.len() - MOST));
    }
    names.join(" → ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn circles_are_found_and_the_rest_is_ordered() {
        let (found, order) = cycles(&[vec![1], vec![2], vec![0, 3], vec![]]);
        assert_eq!(found, [vec![0, 1, 2, 0]]);
        assert_eq!(order.first(), Some(&3));
        let (found, order) = cycles(&[vec![1, 2], vec![2], vec![]]);
        assert!(found.is_empty());
        assert_eq!(order, [2, 1, 0]);
        assert_eq!(cycles(&[vec![0]]).0, [vec![0, 0]]);
    }

    #[test]
    fn a_long_chain_needs_no_stack() {
        let edges: Vec<Vec<usize>> =
            (0..200_000).map(|n| if n == 199_999 { vec![0] } else { vec![n + 1] }).collect();
        let (found, _) = cycles(&edges);
        assert_eq!(found.len(), 1);
        assert!(chain(&found[0], |_| "x").ends_with("more)"));
    }
}

//! The value of a node at an index, as an expression: loads of what has memory, the operators' element functions
//! otherwise. What is used is bound by `Let`, so that a value read twice is computed once.

use crate::{
    Unsupported,
    draft::{Body, Store},
    group::Groups,
    place::{Analysis, Place, types},
};
use graph::{ElementCx, NodeId};
use kernel::{Const, DType, Expr, Reader, Space, Stmt, transform::Ranges};
use shape::Dim;
use std::collections::HashMap;

pub struct Composer<'a, 'b> {
    pub analysis: &'b Analysis<'a>,
    pub groups: &'b Groups,
    /// The group that is being computed: its own values are not loaded.
    pub group: usize,
    pub body: Body,
    pub ranges: Ranges,
    /// Bindings of the present scope.
    pub lets: Vec<Stmt>,
    /// Values already known at an index.
    pub known: Vec<(NodeId, Vec<Expr>, Expr)>,
    /// Values that are given from elsewhere, wherever they are read.
    pub taken: Vec<Taken>,
    /// Values bound in scopes that are open. Only looked up.
    memo: HashMap<(NodeId, Vec<Expr>, Option<Expr>), Expr>,
    pub failure: Option<Unsupported>,
}

/// A node whose value is given, and the one index at which it was read.
pub struct Taken {
    pub node: NodeId,
    pub value: Expr,
    pub at: Option<Vec<Expr>>,
}

impl<'a, 'b> Composer<'a, 'b> {
    pub fn new(
        analysis: &'b Analysis<'a>,
        groups: &'b Groups,
        group: usize,
        name: String,
    ) -> Composer<'a, 'b> {
        let ranges = Ranges::new(analysis.function.facts.clone());
        Composer {
            analysis,
            groups,
            group,
            body: Body::new(name),
            ranges,
            lets: Vec::new(),
            known: Vec::new(),
            taken: Vec::new(),
            memo: HashMap::new(),
            failure: None,
        }
    }

    /// An index variable over `0..extent`; the constant 0 where there is one place only.
    pub fn axis(&mut self, name: &str, extent: &Dim) -> (kernel::VarId, Expr) {
        let var = self.body.kernel.var(name, kernel::Ty::INDEX);
        self.ranges.bound(var, extent);
        (var, if extent.is_const(1) { Expr::int(0) } else { Expr::Var(var) })
    }

    /// Runs `f` in a scope of its own and gives its bindings.
    pub fn scope<T>(&mut self, f: impl FnOnce(&mut Self) -> T) -> (Vec<Stmt>, T) {
        let outer = std::mem::take(&mut self.lets);
        let memo = self.memo.clone();
        let result = f(self);
        self.memo = memo;
        (std::mem::replace(&mut self.lets, outer), result)
    }

    /// The buffer that a node's value is loaded from.
    pub fn input(&mut self, id: NodeId) -> kernel::BufferId {
        let elements = self.analysis.ty(id).shape.elements();
        let dtype = self.analysis.dtype(id);
        self.body.buffer(Store::Node(id), &format!("v{}", id.index()), dtype, elements, Space::Input)
    }

    pub fn output(&mut self, id: NodeId) -> kernel::BufferId {
        let elements = self.analysis.ty(id).shape.elements();
        let dtype = self.analysis.dtype(id);
        self.body.buffer(Store::Node(id), &format!("v{}", id.index()), dtype, elements, Space::Output)
    }

    /// The buffer of a value that an earlier kernel began and this one goes on with.
    pub fn update(&mut self, id: NodeId) -> kernel::BufferId {
        let elements = self.analysis.ty(id).shape.elements();
        let dtype = self.analysis.dtype(id);
        self.body.buffer(Store::Node(id), &format!("v{}", id.index()), dtype, elements, Space::InOut)
    }

    fn is_loaded(&self, id: NodeId) -> bool {
        match self.analysis.place(id) {
            Place::Argument(_) | Place::Data => true,
            Place::Computed => self.groups.group_of[id.index()] != Some(self.group),
            _ => false,
        }
    }

    /// Whether the value is loaded, from a place that there may not be: one that there is always is loaded whatever the
    /// mask says, so that what is the same for all lanes is loaded once for all.
    fn is_masked(&self, id: NodeId, index: &[Expr]) -> bool {
        let shape = &self.analysis.ty(id).shape;
        self.is_loaded(self.analysis.base(id))
            && !self.ranges.is_inside(&self.offset(shape, index), &shape.elements())
    }

    /// The place of an index in row-major order.
    pub fn offset(&self, shape: &[Dim], index: &[Expr]) -> Expr {
        let mut flat = Expr::int(0);
        for (extent, i) in shape.iter().zip(index) {
            flat = flat.mul(Expr::dim(extent)).add(i.clone());
        }
        self.ranges.simplify(&flat)
    }

    /// The value of a node where `mask` holds; anything, with nothing touched, where it does not.
    pub fn value(&mut self, id: NodeId, index: &[Expr], mask: Option<&Expr>) -> Expr {
        let index: Vec<Expr> = index.iter().map(|i| self.ranges.simplify(i)).collect();
        if let Some((_, _, value)) = self.known.iter().find(|(node, at, _)| *node == id && *at == index) {
            return value.clone();
        }
        if let Some(taken) = self.taken.iter_mut().find(|taken| taken.node == id) {
            if taken.at.get_or_insert_with(|| index.clone()) != &index {
                let span = self.analysis.node(id).span;
                self.failure = Some(Unsupported::new("internal: a value is read in two places", span));
            }
            return taken.value.clone();
        }
        let key = (id, index, mask.cloned());
        if let Some(value) = self.memo.get(&key) {
            return value.clone();
        }
        let (id, index, _) = &key;
        let base = self.analysis.base(*id);
        let value = if self.is_loaded(base) {
            let shape = self.analysis.ty(*id).shape.clone();
            let offset = self.offset(&shape, index);
            let buffer = self.input(base);
            let mask = mask.filter(|_| !self.ranges.is_inside(&offset, &shape.elements()));
            Expr::Load { buffer, index: vec![offset], lanes: 1, mask: mask.cloned().map(Box::new) }
        } else {
            self.element(*id, index, mask)
        };
        let value = self.bind(value);
        self.memo.insert(key, value.clone());
        value
    }

    /// The buffer and place that a value is loaded from, where it is nothing but a load.
    pub fn load_of(&mut self, id: NodeId, index: &[Expr]) -> Option<(kernel::BufferId, Expr)> {
        let (lets, value) = self.scope(|c| c.value(id, index, None));
        match (value, lets.as_slice()) {
            (
                Expr::Var(var),
                [Stmt::Let { var: bound, value: Expr::Load { buffer, index, mask: None, .. } }],
            ) if var == *bound => Some((*buffer, index.first()?.clone())),
            _ => None,
        }
    }

    /// The value as a variable, unless it is as simple already.
    pub fn bind(&mut self, value: Expr) -> Expr {
        if matches!(value, Expr::Const(_) | Expr::Var(_) | Expr::Dim(_)) {
            return value;
        }
        let ty = self.body.kernel.ty(&value);
        let var = self.body.kernel.var(format!("t{}", self.body.kernel.vars.len()), ty);
        self.lets.push(Stmt::Let { var, value });
        Expr::Var(var)
    }

    /// A partial result of a reduction; the last index tells which.
    pub fn slot(&mut self, slots: Store, hero: NodeId, shape: &[Dim], count: &Dim, index: &[Expr]) -> Expr {
        let dtype = self.analysis.dtype(hero).accumulator();
        let extents: Vec<Dim> = shape.iter().chain([count]).cloned().collect();
        let elements = extents.iter().cloned().product();
        let buffer = self.body.buffer(slots, "slots", dtype, elements, Space::Input);
        Expr::Load { buffer, index: vec![self.offset(&extents, index)], lanes: 1, mask: None }
    }

    /// What the operator's element function says.
    pub fn element(&mut self, id: NodeId, index: &[Expr], mask: Option<&Expr>) -> Expr {
        let analysis = self.analysis;
        let node = analysis.node(id);
        let inputs = types(analysis.function, node);
        let shapes: Vec<&[Dim]> = inputs.iter().map(|ty| &ty.shape[..]).collect();
        let mut reader =
            NodeReader { composer: self, operands: &node.inputs, shapes: &shapes, mask: mask.cloned() };
        let float = analysis.options.float;
        let mut cx = ElementCx { reader: &mut reader, inputs: &inputs, output: node.ty(), float };
        node.op.element(&mut cx, index)
    }
}

struct NodeReader<'r, 'a, 'b> {
    composer: &'r mut Composer<'a, 'b>,
    operands: &'r [NodeId],
    shapes: &'r [&'r [Dim]],
    mask: Option<Expr>,
}

impl Reader for NodeReader<'_, '_, '_> {
    fn read(&mut self, operand: usize, index: &[Expr]) -> Expr {
        self.composer.value(self.operands[operand], index, self.mask.as_ref())
    }

    fn read_where(&mut self, condition: Expr, operand: usize, index: &[Expr]) -> Expr {
        let zero = Expr::number(self.dtype(operand), 0.0);
        let condition = match self.composer.ranges.decide(&condition) {
            Expr::Const(Const::Bool(true)) => return self.read(operand, index),
            Expr::Const(Const::Bool(false)) => return zero,
            condition => self.composer.bind(condition),
        };
        let mask = match &self.mask {
            Some(outer) if *outer == condition => outer.clone(),
            Some(outer) => {
                let both = outer.clone().and(condition.clone());
                self.composer.bind(both)
            }
            None => condition.clone(),
        };
        let id = self.operands[operand];
        let value = self.composer.value(id, index, Some(&mask));
        if self.composer.is_masked(id, index) {
            // A load gives 0 where its mask is false.
            return value;
        }
        Expr::select(condition, value, zero)
    }

    fn bind(&mut self, value: Expr) -> Expr {
        self.composer.bind(value)
    }

    fn dtype(&self, operand: usize) -> DType {
        self.composer.analysis.dtype(self.operands[operand])
    }

    fn shape(&self, operand: usize) -> &[Dim] {
        self.shapes[operand]
    }
}

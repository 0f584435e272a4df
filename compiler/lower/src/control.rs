//! Scans, conditions and loops: the steps of their bodies, with the places of what goes in and comes out.

use crate::{
    Options, Unsupported,
    draft::{Draft, DraftControl, DraftStep, Store},
    fragment::{Fragment, Unit},
    place::Analysis,
    plan_memory,
    resolve::Places,
    specialize::specialize,
};
use graph::{FuncId, NodeId, Op, Type, ops};
use kernel::{BufferRef, DType, LoopId, Step};
use shape::Dim;

/// Adds the steps of a scan, condition or loop to the draft.
pub fn emit(
    unit: &mut Unit<'_>,
    analysis: &Analysis<'_>,
    node: NodeId,
    draft: &mut Draft,
) -> Result<(), Unsupported> {
    let mut control = Control::new(unit, analysis, node, draft);
    let steps = match &analysis.node(node).op {
        Op::Scan(scan) => control.scan(scan)?,
        Op::Cond(cond) => control.cond(cond)?,
        Op::While(repeat) => control.repeat_while(repeat)?,
        op => return Err(control.unsupported(format!("`{}` is not a loop or branch", op.name()))),
    };
    let Control { stores, workspace, .. } = control;
    for step in steps {
        let (stores, workspace) = (stores.clone(), workspace);
        draft.steps.push(DraftStep::Control(DraftControl { step, stores, workspace }));
    }
    copy_repeated(analysis, node, draft);
    Ok(())
}

/// A result that is read by two `get`s is one place; the second gets a copy.
fn copy_repeated(analysis: &Analysis<'_>, node: NodeId, draft: &mut Draft) {
    let gets = gets(analysis, node);
    for (index, get) in &gets {
        let Some((_, first)) = gets.iter().find(|(other, _)| other == index) else { continue };
        if first == get {
            continue;
        }
        let bytes = bytes_of(analysis.ty(*get), analysis.dtype(*get));
        let step = Step::Copy { from: BufferRef::Arg(0), to: BufferRef::Arg(1), bytes };
        let stores = vec![Store::Node(*first), Store::Node(*get)];
        draft.steps.push(DraftStep::Control(DraftControl { step, stores, workspace: None }));
    }
}

/// The live readers of a node's results, each with the result that it reads.
fn gets(analysis: &Analysis<'_>, node: NodeId) -> Vec<(usize, NodeId)> {
    let index = |user: NodeId| match &analysis.node(user).op {
        Op::Get(get) => Some((get.index, user)),
        _ => None,
    };
    analysis.users[node.index()].iter().filter_map(|(user, _)| index(*user)).collect()
}

fn bytes_of(ty: &Type, dtype: DType) -> Dim {
    ty.shape.elements() * dtype.size() as i64
}

struct Control<'u, 'm, 'a, 'b> {
    unit: &'u mut Unit<'m>,
    analysis: &'b Analysis<'a>,
    node: NodeId,
    draft: &'b mut Draft,
    /// Values that the steps use; a step speaks of them by their number, as of arguments.
    stores: Vec<Store>,
    /// Room for what the bodies keep between their own steps.
    workspace: Option<Store>,
}

/// A value that each step takes from the one before.
struct Carried {
    read: BufferRef,
    write: BufferRef,
    /// What must still be done when the loop is over.
    after: Option<Step>,
}

impl<'u, 'm, 'a, 'b> Control<'u, 'm, 'a, 'b> {
    fn new(
        unit: &'u mut Unit<'m>,
        analysis: &'b Analysis<'a>,
        node: NodeId,
        draft: &'b mut Draft,
    ) -> Control<'u, 'm, 'a, 'b> {
        Control { unit, analysis, node, draft, stores: Vec::new(), workspace: None }
    }

    fn scan(&mut self, scan: &ops::Scan) -> Result<Vec<Step>, Unsupported> {
        let node = self.analysis.node(self.node);
        let Some(operands) = scan.operands(&node.inputs) else {
            return Err(self.unsupported("internal: a scan whose operands are not told apart"));
        };
        let results: Vec<usize> = (0..node.types.len()).collect();
        let Some(results) = scan.results(&results) else {
            return Err(self.unsupported("internal: a scan whose results are not told apart"));
        };
        let mut types: Vec<Type> = Vec::new();
        types.extend(operands.carried.iter().chain(operands.fixed).map(|id| self.analysis.ty(*id).clone()));
        types.extend(operands.stacked.iter().map(|id| element(self.analysis.ty(*id))));
        types.extend(operands.tables.iter().map(|table| self.analysis.ty(table[0]).clone()));
        let fragment = self.body(scan.body, &types)?;

        let id = self.unit.new_loop();
        let mut args = Vec::new();
        let mut places = Vec::new();
        let mut after = Vec::new();
        for (operand, result) in operands.carried.iter().zip(results.carried) {
            let carried = self.carried(id, *operand, *result, scan.steps());
            args.push(carried.read);
            places.push(carried.write);
            after.extend(carried.after);
        }
        args.extend(operands.fixed.iter().map(|operand| self.operand(*operand)));
        for (operand, ty) in operands.stacked.iter().zip(&types[args.len()..]) {
            let stride = bytes_of(ty, ty.dtype.concrete(self.analysis.options.float));
            args.push(BufferRef::Part { of: Box::new(self.operand(*operand)), loop_id: id, stride });
        }
        for table in &operands.tables {
            let of = table.iter().map(|operand| self.operand(*operand)).collect();
            args.push(BufferRef::Table { loop_id: id, of });
        }
        for result in results.stacked {
            let stride = self.bytes(&element(&node.types[*result]));
            places.push(match self.read(*result) {
                Some(get) => {
                    let of = Box::new(self.slot(Store::Node(get)));
                    BufferRef::Part { of, loop_id: id, stride }
                }
                // Nothing reads it: the steps write over each other's.
                None => self.room(stride),
            });
        }
        for table in &results.tables {
            let unread = table.iter().any(|result| self.read(*result).is_none());
            let nowhere = unread.then(|| self.room(self.bytes(&node.types[table[0]])));
            let of = table.iter().map(|result| match (self.read(*result), &nowhere) {
                (None, Some(nowhere)) => nowhere.clone(),
                _ => self.result(*result),
            });
            places.push(BufferRef::Table { loop_id: id, of: of.collect() });
        }
        let mut steps = Vec::new();
        if scan.steps() != Some(0) {
            let body =
                Places { args: &args, results: &places, room: &Dim::from(0i64) }.steps(&fragment.steps);
            self.workspace = self.workspace_of(&[&fragment]);
            steps.push(Step::Loop { id, count: scan.count.clone(), reverse: scan.reverse, body });
        }
        steps.extend(after);
        Ok(steps)
    }

    fn cond(&mut self, cond: &ops::Cond) -> Result<Vec<Step>, Unsupported> {
        let node = self.analysis.node(self.node);
        let types: Vec<Type> = node.inputs[1..].iter().map(|id| self.analysis.ty(*id).clone()).collect();
        let then = self.body(cond.then, &types)?;
        let otherwise = self.body(cond.otherwise, &types)?;
        let flag = self.operand(node.inputs[0]);
        let args: Vec<BufferRef> = node.inputs[1..].iter().map(|id| self.operand(*id)).collect();
        let results: Vec<BufferRef> = (0..node.types.len()).map(|result| self.result(result)).collect();
        let places = Places { args: &args, results: &results, room: &Dim::from(0i64) };
        let (yes, no) = (places.steps(&then.steps), places.steps(&otherwise.steps));
        self.workspace = self.workspace_of(&[&then, &otherwise]);
        Ok(vec![Step::If { flag, then: yes, otherwise: no }])
    }

    fn repeat_while(&mut self, repeat: &ops::While) -> Result<Vec<Step>, Unsupported> {
        let node = self.analysis.node(self.node);
        let types: Vec<Type> = node.inputs.iter().map(|id| self.analysis.ty(*id).clone()).collect();
        let condition = self.body(repeat.condition, &types)?;
        let body = self.body(repeat.body, &types)?;
        let id = self.unit.new_loop();
        let flag = self.room(Dim::from(1i64));
        let mut args = Vec::new();
        let mut results = Vec::new();
        let mut after = Vec::new();
        for (result, operand) in node.inputs[..repeat.carried].iter().enumerate() {
            let carried = self.carried(id, *operand, result, None);
            args.push(carried.read);
            results.push(carried.write);
            after.extend(carried.after);
        }
        args.extend(node.inputs[repeat.carried..].iter().map(|operand| self.operand(*operand)));
        let room = Dim::from(0i64);
        let tested = std::slice::from_ref(&flag);
        let condition_steps = Places { args: &args, results: tested, room: &room }.steps(&condition.steps);
        let body_steps = Places { args: &args, results: &results, room: &room }.steps(&body.steps);
        self.workspace = self.workspace_of(&[&condition, &body]);
        let limit = repeat.limit.clone();
        let mut steps = vec![Step::While { id, condition: condition_steps, flag, limit, body: body_steps }];
        steps.extend(after);
        Ok(steps)
    }

    /// The places between which a carried value goes. The last of them is the result's own where the number of steps is
    /// known; else the value is moved there when the loop is over.
    fn carried(&mut self, id: LoopId, operand: NodeId, result: usize, steps: Option<usize>) -> Carried {
        let first = self.operand(operand);
        let last = self.result(result);
        let bytes = self.bytes(&self.analysis.node(self.node).types[result]);
        let (even, odd, moved) = match steps {
            Some(0) => (last.clone(), last.clone(), Some(first.clone())),
            Some(1) => (last.clone(), last.clone(), None),
            Some(n) => {
                let other = self.room(bytes.clone());
                let (even, odd) = if n % 2 == 0 { (last.clone(), other) } else { (other, last.clone()) };
                (even, odd, None)
            }
            None => {
                let (even, odd) = (self.room(bytes.clone()), self.room(bytes.clone()));
                let (first, even_box) = (Some(Box::new(first.clone())), Box::new(even.clone()));
                let turn = BufferRef::Turn { loop_id: id, first, even: even_box, odd: Box::new(odd.clone()) };
                (even, odd, Some(turn))
            }
        };
        let (even, odd) = (Box::new(even), Box::new(odd));
        let after = moved.map(|from| Step::Copy { from, to: last, bytes });
        // What a step writes is where the next one looks.
        let write = BufferRef::Turn { loop_id: id, first: None, even: odd.clone(), odd: even.clone() };
        let read = BufferRef::Turn { loop_id: id, first: Some(Box::new(first)), even, odd };
        Carried { read, write, after }
    }

    fn body(&mut self, body: FuncId, types: &[Type]) -> Result<Fragment, Unsupported> {
        let analysis = self.analysis;
        let types: Vec<&Type> = types.iter().collect();
        let function = specialize(self.unit.module, body, &analysis.function.facts, &types)
            .map_err(|message| self.unsupported(format!("internal: {message}")))?;
        let word = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
        let name: String = function.name.chars().map(word).collect();
        let options = Options {
            name: format!("{}_{name}_{}", analysis.options.name, body.index()),
            ..*analysis.options
        };
        self.unit.function(&function, &options)
    }

    /// The value of an operand, materialised.
    fn operand(&mut self, operand: NodeId) -> BufferRef {
        self.slot(Store::Node(self.analysis.base(operand)))
    }

    /// Where a result goes.
    fn result(&mut self, result: usize) -> BufferRef {
        match self.read(result) {
            Some(get) => self.slot(Store::Node(get)),
            None => self.room(self.bytes(&self.analysis.node(self.node).types[result])),
        }
    }

    /// The first reader of a result.
    fn read(&self, result: usize) -> Option<NodeId> {
        let gets = gets(self.analysis, self.node);
        gets.iter().find(|(index, _)| *index == result).map(|(_, get)| *get)
    }

    fn room(&mut self, bytes: Dim) -> BufferRef {
        let temp = self.draft.temp(DType::U8, bytes);
        self.slot(temp)
    }

    fn slot(&mut self, store: Store) -> BufferRef {
        let known = self.stores.iter().position(|known| *known == store);
        BufferRef::Arg(known.unwrap_or_else(|| {
            self.stores.push(store);
            self.stores.len() - 1
        }))
    }

    /// Bodies that never run at the same time share their room.
    fn workspace_of(&mut self, bodies: &[&Fragment]) -> Option<Store> {
        let facts = &self.analysis.function.facts;
        let larger = |a: Dim, b: &Dim| match (
            plan_memory::at_least(facts, &a, b),
            plan_memory::at_least(facts, b, &a),
        ) {
            (true, _) => a,
            (_, true) => b.clone(),
            _ => a + b,
        };
        let bytes = bodies.iter().fold(Dim::from(0i64), |bytes, body| larger(bytes, &body.workspace));
        (!bytes.is_const(0)).then(|| self.draft.temp(DType::U8, bytes))
    }

    fn bytes(&self, ty: &Type) -> Dim {
        bytes_of(ty, ty.dtype.concrete(self.analysis.options.float))
    }

    fn unsupported(&self, message: impl Into<String>) -> Unsupported {
        Unsupported::new(message, self.analysis.node(self.node).span)
    }
}

/// Without the leading axis.
fn element(ty: &Type) -> Type {
    Type::new(ty.dtype, ty.shape.iter().skip(1).cloned().collect())
}

//! What the database itself writes down of the ledger's tables while the workers work: who claimed
//! what under which fence, when a run was done, and intents under a fence that was not the run's.

/// Triggers that write into a table of their own, in the transaction that they watch.
pub(super) const TRIGGERS: &str = r#"
create table nemesis_audit (
  place bigserial primary key, what text not null, run bigint not null, fence bigint not null,
  holder bigint not null);
create index nemesis_open on oncely_runs (id) where status < 3;
create function nemesis_runs() returns trigger language plpgsql as $$
begin
  if new.holder is not null
     and (tg_op = 'INSERT' or old.holder is distinct from new.holder or old.fence <> new.fence) then
    insert into nemesis_audit (what, run, fence, holder)
    values ('claimed', new.id, new.fence, new.holder);
  end if;
  if new.status = 4 and (tg_op = 'INSERT' or old.status <> 4) then
    insert into nemesis_audit (what, run, fence, holder) values ('done', new.id, new.fence, 0);
  end if;
  return null;
end $$;
create function nemesis_intent(run bigint, intent jsonb) returns void language plpgsql as $$
declare current bigint;
begin
  select r.fence into current from oncely_runs r where r.id = run;
  if (intent->>'fence')::bigint <> current then
    insert into nemesis_audit (what, run, fence, holder)
    values ('late', run, (intent->>'fence')::bigint, current);
  end if;
end $$;
create function nemesis_facts() returns trigger language plpgsql as $$
begin
  if new.body like '%"fact":"intent"%' then
    perform nemesis_intent(new.run, new.body::jsonb);
  end if;
  return null;
end $$;
create function nemesis_items() returns trigger language plpgsql as $$
begin
  if new.body like '%"item_fact":"intent"%' then
    perform nemesis_intent(new.run, new.body::jsonb->'what');
  end if;
  return null;
end $$;
create trigger nemesis_runs after insert or update on oncely_runs
  for each row execute function nemesis_runs();
create trigger nemesis_facts after insert on oncely_facts
  for each row execute function nemesis_facts();
create trigger nemesis_items after insert on oncely_item_facts
  for each row execute function nemesis_items();
"#;

/// What was written down, in order.
pub(super) const READ: &str =
    "select what, run, fence, holder from nemesis_audit order by run, place";

/// Runs that are not over and wait for nobody.
pub(super) const OPEN: &str = "select count(*) from oncely_runs where status < 3";

/// Those of them that are held, or due within half a minute of the database's clock: a clock that was
/// ahead has put others off.
pub(super) const SOON: &str = "select count(*) from oncely_runs where status < 3
    and (holder is not null
    or due < (extract(epoch from clock_timestamp()) * 1000)::bigint + 30000)";

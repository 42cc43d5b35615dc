-- /// oncely
-- title = "Make a shop with 20,000 customers"
-- db = "shop"
-- ///

create table customers (
  id integer primary key,
  email text not null,
  email_small text
);

insert into customers (email)
with recursive n (i) as (select 1 union all select i + 1 from n where i < 20000)
select 'Customer' || i || '@Example.com' from n;

-- Whoever runs the shop stops the backfill here: update settings set value = 'no'.
create table settings (name text primary key, value text not null);
insert into settings values ('backfill', 'yes');

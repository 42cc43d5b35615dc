-- /// oncely
-- title = "Make the table of invoices, with one that is not paid"
-- db = "shop"
-- ///

create table invoices (
  id text primary key,
  customer text not null,
  due text not null,
  paid integer not null default 0
);
insert into invoices (id, customer, due) values ('invoice-7', 'Ann', '120.00 EUR');

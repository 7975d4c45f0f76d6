-- shop_app owns everything here, as many applications do: PostgreSQL alone would let it drop the table.
\connect shop
SET ROLE shop_app;
CREATE TABLE products (id int PRIMARY KEY, name text NOT NULL, price numeric(8, 2) NOT NULL);
CREATE TABLE orders (
    id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    product_id int NOT NULL REFERENCES products,
    pieces int NOT NULL
);
CREATE TABLE accounts (id int PRIMARY KEY, email text UNIQUE NOT NULL, password_hash text NOT NULL);
INSERT INTO products VALUES (1, 'lantern', 24.50), (2, 'rope', 9.90), (3, 'grappling hook', 39.00);
INSERT INTO orders (product_id, pieces) VALUES (1, 2), (2, 10), (3, 1);
INSERT INTO accounts VALUES (1, 'ada@example.com', 'not a real hash'), (2, 'bob@example.com', 'neither');

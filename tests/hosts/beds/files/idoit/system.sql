DROP DATABASE IF EXISTS idoit_system;
CREATE DATABASE idoit_system DEFAULT CHARACTER SET utf8 COLLATE utf8_unicode_ci;
USE idoit_system;
CREATE TABLE isys_mandator (
  isys_mandator__id int(10) unsigned NOT NULL AUTO_INCREMENT,
  isys_mandator__title varchar(255) DEFAULT NULL,
  isys_mandator__description text DEFAULT NULL,
  isys_mandator__dir_cache varchar(255) DEFAULT NULL,
  isys_mandator__dir_tpl varchar(255) DEFAULT NULL,
  isys_mandator__db_host varchar(255) DEFAULT NULL,
  isys_mandator__db_port int(11) DEFAULT 3306,
  isys_mandator__db_name varchar(255) DEFAULT NULL,
  isys_mandator__db_user varchar(255) NOT NULL DEFAULT '',
  isys_mandator__db_pass varchar(255) DEFAULT NULL,
  isys_mandator__db_password varchar(255) DEFAULT NULL,
  isys_mandator__apikey varchar(100) DEFAULT NULL,
  isys_mandator__sort int(10) unsigned DEFAULT NULL,
  isys_mandator__active int(10) unsigned DEFAULT 1,
  isys_mandator__license_objects int(10) unsigned DEFAULT 0,
  PRIMARY KEY (isys_mandator__id)
) ENGINE=InnoDB;
CREATE TABLE isys_settings (
  isys_settings__key varchar(255) NOT NULL,
  isys_settings__value text NOT NULL,
  isys_settings__isys_mandator__id int(10) unsigned NOT NULL DEFAULT 0,
  PRIMARY KEY (isys_settings__key, isys_settings__isys_mandator__id)
) ENGINE=InnoDB;
INSERT INTO isys_settings VALUES
  ('api.authenticated-users-only', '1', 0),
  ('api.status', '1', 0),
  ('auth.active', '1', 0),
  ('session.time', '300', 0),
  ('system.security.csrf', '1', 0);
CREATE TABLE isys_db_init (
  isys_db_init__id int(10) unsigned NOT NULL AUTO_INCREMENT,
  isys_db_init__key varchar(255) NOT NULL,
  isys_db_init__value varchar(255) DEFAULT NULL,
  PRIMARY KEY (isys_db_init__id)
) ENGINE=InnoDB;
INSERT INTO isys_db_init (isys_db_init__key, isys_db_init__value) VALUES
  ('title', 'i-doit 34'), ('revision', '202503400'), ('version', '34'), ('type', 'pro');

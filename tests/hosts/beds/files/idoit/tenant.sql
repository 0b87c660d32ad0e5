DROP DATABASE IF EXISTS idoit_data;
CREATE DATABASE idoit_data DEFAULT CHARACTER SET utf8 COLLATE utf8_unicode_ci;
USE idoit_data;
CREATE TABLE isys_obj (
  isys_obj__id int(10) unsigned NOT NULL AUTO_INCREMENT,
  isys_obj__title varchar(255) DEFAULT NULL,
  isys_obj__status int(10) unsigned DEFAULT 2,
  PRIMARY KEY (isys_obj__id)
) ENGINE=InnoDB;
INSERT INTO isys_obj (isys_obj__title) VALUES
  ('Root location'), ('Guest'), ('Reader'), ('Editor'), ('Author'), ('Archivar'), ('Admin'),
  ('System API');
CREATE TABLE isys_cats_person_list (
  isys_cats_person_list__id int(10) unsigned NOT NULL AUTO_INCREMENT,
  isys_cats_person_list__isys_obj__id int(10) unsigned DEFAULT NULL,
  isys_cats_person_list__isys_ldap__id int(10) unsigned DEFAULT NULL,
  isys_cats_person_list__title varchar(255) DEFAULT NULL,
  isys_cats_person_list__user_pass varchar(255) DEFAULT NULL,
  isys_cats_person_list__first_name varchar(255) DEFAULT NULL,
  isys_cats_person_list__last_name varchar(255) DEFAULT NULL,
  isys_cats_person_list__disabled_login tinyint(1) unsigned NOT NULL DEFAULT 0,
  isys_cats_person_list__status int(10) unsigned DEFAULT 2,
  PRIMARY KEY (isys_cats_person_list__id)
) ENGINE=InnoDB;
INSERT INTO isys_cats_person_list (isys_cats_person_list__isys_obj__id,
  isys_cats_person_list__title, isys_cats_person_list__user_pass,
  isys_cats_person_list__first_name, isys_cats_person_list__last_name) VALUES
  (2, 'guest', MD5('guest'), 'guest', ''),
  (3, 'reader', MD5('reader'), 'reader', ''),
  (4, 'editor', MD5('editor'), 'editor', ''),
  (5, 'author', MD5('author'), 'author', ''),
  (6, 'archivar', MD5('archivar'), 'archivar', ''),
  (7, 'admin', MD5('admin'), 'admin', ''),
  (8, 'systemapi', '', 'System', 'API');
